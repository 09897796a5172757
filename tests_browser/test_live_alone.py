"""Times that are measured: in a run of their own, beside nothing else (see `make test-browser`)."""

from benchmarks.live import TRAIN
from tools.pace import slowness


def test_the_page_stays_quick_while_a_model_learns(visit):
    page = visit("book/live").page
    page.wait_for_timeout(1500)  # until the page is at rest
    slow = slowness()
    # The best of three: what else the machine does is not the page's.
    runs = [page.evaluate(TRAIN, "") for _ in range(3)]
    assert min(first for first, _ in runs) < 300 * slow
    assert min(longest for _, longest in runs) <= 50 * slow
