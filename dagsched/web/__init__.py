"""The web UI: pages for people, beside the API and in its process.

A page is one file in `pages/` plus one line in its table: where it is served, which template shows it, and a function
that returns the template's data. Pages are plain HTML that works without script; the modules in `static/` only
change classes and text of what is there, and fetch the page again when more has changed than that.

Every link is relative to the server's front page (`root` in templates), so that a proxy may serve all of it below any
prefix without telling.

table.py     what a page is                     forms.py     how a form is sealed and read
site.py      pages → routes                     acts.py      what a form asks for: `POST do/VERB`
render.py    templates and their filters        statics.py   style sheet and scripts
words.py     times, lengths, states in words    shapes.py    charts as SVG
"""
