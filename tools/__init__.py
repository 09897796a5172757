"""Programs around the book; the first line of each file says what it does.

They run notebooks, count claims and record faults, extend Sphinx, and write the PDF, the zip and
the bill of materials.
"""
