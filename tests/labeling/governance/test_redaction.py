from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labeling.governance.redaction import apply, label_of, places_of, redact, words_of


def said(*texts: str) -> list[dict]:
    return [{"role": "user", "content": text} for text in texts]


def spans(messages: list[dict], *words: tuple[str, str]) -> list[tuple[int, int, int, str]]:
    """The first place of each of the (words, kind)."""
    found = []
    for text, kind in words:
        index = next(n for n, message in enumerate(messages) if text in message["content"])
        start = messages[index]["content"].index(text)
        found.append((index, start, start + len(text), kind))
    return found


def contents(messages: list[dict]) -> list[str]:
    return [message["content"] for message in messages]


def test_the_same_words_get_the_same_placeholder_over_all_messages():
    messages = said("I am Jane Roe.", "Hello Jane Roe, and Bob Day?", "JANE  ROE it is.")
    made, replaced = redact(messages, spans(messages, ("Jane Roe", "person_name"), ("Bob Day", "person_name")))
    # The last was found by nobody.
    assert contents(made) == ["I am [NAME_1].", "Hello [NAME_1], and [NAME_2]?", "[NAME_1] it is."]
    assert [each.placeholder for each in replaced] == ["[NAME_1]", "[NAME_1]", "[NAME_2]", "[NAME_1]"]
    assert contents(apply(messages, replaced)) == contents(made)


def test_words_are_replaced_as_words_and_never_inside_others():
    messages = said("Ask Ann about Annex and ann.", "My PIN is 12, of 1200.")
    made, _ = redact(messages, spans(messages, ("Ann", "person_name"), ("12", "password")))
    # Two characters are too few to be looked for elsewhere.
    assert contents(made) == ["Ask [NAME_1] about Annex and [NAME_1].", "My PIN is [PASSWORD_1], of 1200."]


def test_a_placeholder_that_stands_there_already_is_not_given_again():
    messages = said("What does [NAME_1] mean, asks Jane Roe?")
    made, _ = redact(messages, spans(messages, ("Jane Roe", "person_name")))
    assert contents(made) == ["What does [NAME_1] mean, asks [NAME_2]?"]


def test_a_redaction_goes_on_from_an_earlier_one():
    messages = said("Jane Roe and Bob Day, jane@example.org")
    _, first = redact(messages, spans(messages, ("Bob Day", "person_name")))
    again = [(each.message, each.start, each.end, each.kind) for each in first]
    more = spans(messages, ("Jane Roe", "person_name"), ("jane@example.org", "email"))
    made, _ = redact(messages, [*again, *more], known=words_of(messages, first))
    assert contents(made) == ["[NAME_2] and [NAME_1], [EMAIL_1]"]


def test_overlapping_spans_are_replaced_whole_and_cut_to_the_text():
    messages = said("abcdefghij")
    made, _ = redact(messages, [(0, 2, 5, "email"), (0, 4, 7, "phone"), (0, 9, 99, "phone"), (3, 0, 1, "phone")])
    assert contents(made) == ["ab[EMAIL_1]hi[PHONE_1]"]


def test_every_kind_has_a_placeholder_that_says_it():
    assert [label_of(kind) for kind in ("iban", "phone", "odd kind", "")] == [
        "ACCOUNT",
        "PHONE",
        "ODD_KIND",
        "PERSONAL",
    ]


TEXTS = st.lists(st.text("ab .é\n[1_]", max_size=30), min_size=1, max_size=3)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    TEXTS, st.lists(st.tuples(st.integers(0, 3), st.integers(0, 30), st.integers(0, 30), st.just("email")), max_size=5)
)
def test_nothing_that_was_to_go_stays_and_all_else_does(texts, wanted):
    messages = said(*texts)
    made, replaced = redact(messages, wanted)
    for index, text in enumerate(texts):
        kept, place = [], 0
        for each in (each for each in replaced if each.message == index):
            assert place <= each.start < each.end <= len(text)
            kept.append(text[place : each.start])
            place = each.end
        kept.append(text[place:])
        rest = made[index]["content"]
        for each, piece in zip([None, *(e for e in replaced if e.message == index)], kept, strict=True):
            if each is not None:
                assert rest.startswith(each.placeholder)
                rest = rest[len(each.placeholder) :]
            assert rest.startswith(piece)
            rest = rest[len(piece) :]
        assert rest == ""
        covered = {n for each in replaced if each.message == index for n in range(each.start, each.end)}
        for message, start, end, _ in wanted:
            if message == index:
                assert set(range(start, min(end, len(text)))) <= covered


def test_looking_for_words_takes_time_by_length_alone():
    words = [f"name {number}" for number in range(2000)]
    assert places_of(["x " * 100_000, "it is name 7 there"], words) == [(1, 6, 12, "name 7")]
