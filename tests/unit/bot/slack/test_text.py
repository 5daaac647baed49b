"""Foreign text made safe for Slack."""

import unicodedata

from hypothesis import example, given
from hypothesis import strategies as st

from bot.slack.text import CUT, code, cut, escaped, inline_code, one_line, plain, unescaped
from tests.unit.bot.slack.marks import acted_upon
from tests.unit.bot.slack.overviews import HOSTILE

limits = st.integers(len(CUT) + 1, 3_000)
texts = st.one_of(st.text(), st.just(HOSTILE), st.text(alphabet="<!@#&;lgtamp`\n\u202e\x00", max_size=400))


@given(text=texts, limit=limits)
@example(text=HOSTILE, limit=3_000)
def test_escaped_text_mentions_nothing_and_keeps_its_limit(text, limit):
    told = escaped(text, limit)

    assert acted_upon(told) == []
    assert ">" not in told
    assert len(told) <= limit


@given(text=texts, limit=limits)
def test_no_entity_is_ever_cut_in_two(text, limit):
    told = escaped(text, limit).removesuffix(CUT)

    for part in told.split("&")[1:]:
        assert part.startswith(("amp;", "lt;", "gt;"))


@given(text=texts)
def test_characters_that_act_or_hide_are_shown_as_their_code_points(text):
    for told in (escaped(text), plain(text), inline_code(text), code(text), one_line(text)):
        acting = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
        assert [one for one in told if unicodedata.category(one) in acting and one not in "\n\t"] == []


def test_a_bidi_override_a_zero_width_space_and_an_escape_are_named():
    assert plain("a\u202eb\u200bc\x1b[31m") == "a[U+202E]b[U+200B]c"


@given(text=texts, limit=limits)
def test_code_is_closed_by_its_own_marks_only(text, limit):
    told = code(text, limit)

    assert told.startswith("```")
    assert told.endswith("```")
    assert "`" not in told[3:-3]
    assert acted_upon(told) == []


@given(text=texts, limit=limits)
def test_inline_code_and_one_line_are_one_line(text, limit):
    assert "\n" not in inline_code(text, limit)
    assert inline_code(text, limit).count("`") == 2
    assert "\n" not in one_line(text, limit)
    assert acted_upon(one_line(text, limit)) == []


@given(text=st.text(max_size=100))
def test_short_text_is_not_cut(text):
    assert cut(text, 100) == text


@given(text=st.text(min_size=101, max_size=400))
def test_long_text_says_that_it_is_cut(text):
    assert cut(text, 100).endswith(CUT)
    assert len(cut(text, 100)) <= 100


def test_ordinary_words_stay_as_they_are():
    assert escaped("5 pods of café-api crash, größer 3 🔥") == "5 pods of café-api crash, größer 3 🔥"
    assert escaped("a < b && c > d") == "a &lt; b &amp;&amp; c &gt; d"


@given(text=st.text(alphabet="abc <>&;ltgamp", max_size=200))
def test_what_slack_sends_of_a_message_is_read_back_as_it_was_typed(text):
    as_slack_sends_it = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

    assert unescaped(as_slack_sends_it) == text
