from __future__ import annotations

import json

from dagsched.notifiers.slack import TEXT_CHARACTERS_MAX, text_of_message
from tests.notifiers.receivers import web
from tests.notifiers.samples import FAILURE, deliver


def test_the_message_arrives_as_text():
    with web() as server:
        deliver({"type": "slack", "url": {"env": "URL"}, "allow_private": True}, {"URL": server.url})
    [request] = server.requests
    text = json.loads(request.body)["text"]
    assert text.splitlines()[0] == ":red_circle: *load failed (exit 3); 47 after it did not start*"
    assert "dagsched logs job:load" in text


def test_words_of_jobs_mention_nobody_and_link_nowhere():
    text = text_of_message(FAILURE._replace(title="<!channel> & <http://evil|click>", text="x"))
    assert "&lt;!channel&gt; &amp; &lt;http://evil|click&gt;" in text
    assert "<" not in text


def test_a_long_text_is_cut():
    assert len(text_of_message(FAILURE._replace(text="x" * 9000))) == TEXT_CHARACTERS_MAX
