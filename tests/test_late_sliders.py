"""The state of sliders in a file beside its page, and their first picture in the page."""

import base64
import json
from types import SimpleNamespace

import ipywidgets
import pytest
from conftest import TINY, bright_bars
from ipywidgets.embed import embed_data

from tools import late_sliders
from vae_utils import VAE, mlp_decoder, mlp_encoder
from vae_utils.notebook import sliders

SCRIPTS = '<script src="../_static/require.js?v=1"></script>\n<script src="embed-amd.js"></script>'


def page_of(widget):
    """A page as myst-nb writes it, with one output."""
    data = embed_data(views=[widget], drop_defaults=False)
    view = json.dumps({"model_id": widget.model_id})
    return (
        '<head><script type="application/vnd.jupyter.widget-state+json">'
        f"{json.dumps(data['manager_state'])}</script>\n    {SCRIPTS}\n<script>let a;</script>"
        f'</head><div><script type="application/vnd.jupyter.widget-view+json">{view}</script></div>'
    )


def picture(color):
    data = base64.b64encode(f"bytes of {color}".encode()).decode()
    return ipywidgets.HTML(f'<img src="data:image/webp;base64,{data}" alt="It is {color}.">')


@pytest.fixture
def explorer():
    rows = {"low": [picture("red"), picture("green")], "high <1>": [picture("blue")] * 2}
    return sliders.explorer(rows, "row", ["1", "2"], "place")


def test_the_pictures_leave_the_page_and_come_back_with_the_script(explorer):
    page, script = late_sliders.parted(page_of(explorer), "some.sliders.js")
    assert "widget-state" not in page and "green" not in page
    late = page.split('<template id="late-scripts">')[1].split("</template>")[0]
    assert late.index('src="some.sliders.js"') < late.index("require.js") < late.index("embed-amd")
    assert "<script>let a;</script>" in page
    text = json.loads(script.split("textContent: ")[1].split(",\n}")[0])
    assert f">{text}</script>" in page_of(explorer)


def test_until_then_the_first_picture_is_shown_with_words_for_its_place(explorer):
    page, _ = late_sliders.parted(page_of(explorer), "some.sliders.js")
    still = page.split('<div class="still">')[1].split("</div>")[0]
    assert 'alt="It is red."' in still and still.count("<img") == 1
    assert "row <em>low</em>, place <em>1</em>." in still
    assert page.index("still-words") < page.index("widget-view")


def test_of_a_map_the_middle_is_shown_and_its_style(tmp_path):
    vae = VAE(mlp_encoder(TINY), mlp_decoder(TINY))
    shown = sliders.latent_map(vae, bright_bars(20), [i % 10 for i in range(20)], side=3)
    page, _ = late_sliders.parted(page_of(shown), "some.sliders.js")
    assert page.count("<style>.vae-map-") == 1
    assert "first unit <em>+0.0</em>, second unit <em>+0.0</em>" in page
    assert "of the code (+0.0, +0.0)" in page


def test_pictures_are_files_beside_the_pages(tmp_path, explorer):
    path = tmp_path / "notebooks/some.html"
    path.parent.mkdir()
    path.write_text(page_of(explorer), "utf8")
    app = SimpleNamespace(outdir=tmp_path, builder=SimpleNamespace(format="html"))
    late_sliders.part(app, None)
    (file,) = (tmp_path / "_images").iterdir()
    assert file.read_bytes() == b"bytes of red"
    page = path.read_text("utf8")
    assert f'src="../_images/{file.name}"' in page and "base64" not in page
    assert "blue" not in page and (path.parent / "some.sliders.js").is_file()
    # What was parted stays as it is in the next build.
    late_sliders.part(app, None)
    assert path.read_text("utf8") == page


def test_a_page_without_sliders_stays_as_it_is():
    assert late_sliders.parted(f"<head>{SCRIPTS}</head>", "some.sliders.js") is None
