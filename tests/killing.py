"""Kill work with SIGKILL at random moments, and let a new process continue it.

Importing TensorFlow takes seconds. So one process imports it and does no more: it starts no thread
that a fork would lose. It forks a process for each trial.
"""

import importlib
import json
import os
import random
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path

HERE = Path(__file__).parent
KILLED = "killed once more"


def killed_again_and_again(work, folder, times, start, files, tried):
    """Do a piece of work undisturbed, then again while it is killed `times` times.

    Whenever it comes to its end between two kills, it starts anew in another folder.

    Args:
        work: a function of a test module, which takes the folder to work in. Called again for a
            folder, it continues.
        folder: where it works.
        times: how many processes to kill.
        start: the moments of a quarter of the kills lie within this many seconds of its start.
        files: those of the others at one of this many operations on files of its folder: right
            before it, right after it, or up to 50 ms later.
        tried: what counts the kills.

    Returns:
        The folder in which it worked undisturbed, and those in which it was killed and continued.
    """
    arguments = [work.__module__, work.__name__, str(folder), str(times), str(start), str(files)]
    ended = subprocess.run(
        [sys.executable, __file__, *arguments],
        env={**os.environ, "PYTHONPATH": str(HERE.parent)},
        capture_output=True,
        text=True,
    )
    lines = ended.stdout.splitlines()
    tried(lines.count(KILLED))
    assert ended.returncode == 0, ended.stderr[-4000:]
    assert lines.count(KILLED) == times
    return [Path(name) for name in json.loads(lines[-1])]


def moments(start, files):
    """Draw moments for ever: (which operation on a file, 0 for the start; seconds after it).

    0 seconds are right before it, None right after it.
    """
    draw = random.Random(0)
    while True:
        yield 0, draw.uniform(0, start)
        yield draw.randint(1, files), 0
        yield draw.randint(1, files), None
        yield draw.randint(1, files), draw.uniform(0, 0.05)


def report(folder, tell, moment):
    """Tell the other process when the moment's file operation comes; or die right there."""
    number, seconds = moment
    seen, me = 0, os.getpid()

    def look(event, arguments):
        nonlocal seen
        named = arguments and isinstance(arguments[0], (str, os.PathLike))
        # Workers that it forks have this hook, too.
        if named and str(arguments[0]).startswith(str(folder)) and os.getpid() == me:
            seen += 1
            if seen == number and seconds == 0:
                os.kill(me, signal.SIGKILL)
            elif seen == number and seconds is None:
                # With the next call or return, when a file that was opened to be written is empty.
                sys.setprofile(
                    lambda frame, *_: frame.f_code is here or os.kill(me, signal.SIGKILL)
                )
            elif seen == number:
                os.write(tell, b".")

    here = look.__code__

    sys.addaudithook(look)
    if number == 0:
        os.write(tell, b".")


def killed_at(moment, work, folder):
    """Do the work in a new process; return whether it was killed before it came to its end."""
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if moment is not None:
                report(folder, tell, moment)
            work(folder)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    os.close(tell)
    if os.read(told, 1):  # nothing comes if it ends before, or kills itself
        time.sleep(moment[1])
        os.kill(child, signal.SIGKILL)
    os.close(told)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == 0, f"it failed in {folder}, to be killed at {moment}"
    return False


def main(module, name, folder, times, start, files):
    """Print a line for each process that was killed, and at last the folders."""
    work = getattr(importlib.import_module(module), name)
    folders = [Path(folder, "undisturbed")]
    folders[0].mkdir()
    assert not killed_at(None, work, folders[0])
    killed, done = 0, True
    for moment in moments(float(start), int(files)):
        if killed == int(times):
            break
        if done:
            folders.append(Path(folder, f"killed-{len(folders)}"))
            folders[-1].mkdir()
        done = not killed_at(moment, work, folders[-1])
        if not done:
            killed += 1
            print(f"\n{KILLED}", flush=True)
    killed_at(None, work, folders[-1])
    print(json.dumps([str(folder) for folder in folders]))


if __name__ == "__main__":
    main(*sys.argv[1:])
