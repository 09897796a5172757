"""Repairs of the written pages for screen readers; `tests_browser` asks axe about the result."""

import pytest

from tools.accessible import repaired

CHAPTER = '<a class="reference internal" href="one.html">1. One</a><details>'


@pytest.mark.parametrize(
    "before, after",
    [
        (
            f"{CHAPTER}<summary><i></i>",
            f'{CHAPTER}<summary aria-label="Sections of: 1. One"><i></i>',
        ),
        ('<summary aria-label="Toggle hidden content">', "<summary>"),
        ('<div class="citation" role="doc-biblioentry">', '<div class="citation" role="listitem">'),
        ('<i class="fas fa-download"></i>', '<i class="fas fa-download" aria-hidden="true"></i>'),
        (
            '<i class="theme-switch fa-sun" data-mode="light"></i>',
            '<i class="theme-switch fa-sun" aria-hidden="true" data-mode="light"></i>',
        ),
        ('<th class="head"><p></p></th>', '<td class="head"></td>'),
        (
            '<span class="sig-paren">(</span>\n<dl>\n<dd>x,</dd>\n<dd>y</dd>\n</dl>',
            '<span class="sig-paren">(</span>\n<div class="sig-arguments">\n'
            "<div>x,</div>\n<div>y</div>\n</div>",
        ),
    ],
)
def test_a_repair_changes_what_it_should_and_nothing_twice(before, after):
    rest = '<th class="head"><p>seconds</p></th><dl><dt>a term</dt><dd>its meaning</dd></dl>'
    assert repaired(before + rest) == after + rest
    assert repaired(after + rest) == after + rest
