"""A Sphinx extension: signatures of Keras models and layers on the reference page.

Keras wraps the constructors of its classes, and Sphinx then shows `(*args, **kwargs)`.
"""

from sphinx.util.inspect import signature, stringify_signature


def of_constructor(app, what, name, obj, options, arguments, returned):
    """Return the arguments of `__init__`, without what is only handed on to Keras."""
    if what != "class" or arguments != "(*args, **kwargs)":
        return None
    found = signature(obj.__init__, bound_method=True)
    named = [p for p in found.parameters.values() if p.kind is not p.VAR_KEYWORD]
    found = found.replace(parameters=named, return_annotation=found.empty)
    return stringify_signature(found, unqualified_typehints=True), None


def setup(app):
    app.connect("autodoc-process-signature", of_constructor)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
