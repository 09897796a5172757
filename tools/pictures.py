"""A Sphinx extension: `picture-of` shows a figure of another page, small, as a link to it.

It is the figure of this build: nothing is drawn twice, and no picture goes stale.
"""

from docutils import nodes
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective


class awaited_picture(nodes.General, nodes.Element):
    """Stands in for a picture until all pages were read."""


class PictureOf(SphinxDirective):
    """Takes the name of a figure, such as `fig-theory-regions`."""

    required_arguments = 1

    def run(self):
        awaited = awaited_picture(figure=self.arguments[0])
        self.set_source_info(awaited)
        self.env.note_reread()  # in the next build, the figure may be another one
        return [awaited]


def place_pictures(app, doctree, page):
    """Put the figures in place. One that there isn't is a warning, and leaves nothing behind."""
    for awaited in list(doctree.findall(awaited_picture)):
        place = app.env.get_domain("std").anonlabels.get(awaited["figure"])
        image = place and _first_image(app.env.get_doctree(place[0]), place[1])
        if image is None:
            logging.getLogger(__name__).warning(
                "no figure %s", awaited["figure"], location=awaited, type="picture"
            )
            awaited.parent.remove(awaited)
            continue
        picture = image.deepcopy()
        for name in ("width", "height", "scale", "align"):
            picture.attributes.pop(name, None)
        address = f"{app.builder.get_relative_uri(page, place[0])}#{place[1]}"
        link = nodes.reference(
            "", "", picture, internal=True, refuri=address, classes=["picture-of"]
        )
        awaited.replace_self(nodes.paragraph("", "", link, classes=["picture-of"]))


def _first_image(doctree, target):
    """Return the first image below what has this id, or None."""
    for node in doctree.findall(nodes.Element):
        if target in node["ids"]:
            return node.next_node(nodes.image)
    return None


def setup(app):
    app.add_node(awaited_picture)
    app.add_directive("picture-of", PictureOf)
    app.connect("doctree-resolved", place_pictures)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
