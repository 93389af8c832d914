from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.events.redaction import _PREFIXES, _TRACES, excerpt, excerpts

# Assembled here so that no scanner takes this file for a leak.
JWT = "eyJ" + "hbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9" + ".eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P"
HEX = "0123456789abcdef" * 2


SECRETS = [
    ("use sk-" + "proj-a1B2c3D4e5F6g7H8i9J0 now", "sk-" + "proj-a1B2c3D4e5F6g7H8i9J0"),
    ("sk-ant-" + "api03-AbCdEf123456_xyz", "sk-ant-" + "api03-AbCdEf123456_xyz"),
    ("id AKIA" + "IOSFODNN7EXAMPLE.", "AKIA" + "IOSFODNN7EXAMPLE"),
    ("ghp_" + "16C7e42F292c6912E7710c838347Ae178B4a", "ghp_" + "16C7e42F292c6912E7710c838347Ae178B4a"),
    ("github_pat_" + "11ABCDEFG0abcdefghij", "github_pat_" + "11ABCDEFG0abcdefghij"),
    ("glpat-" + "ABCdef123456xyz78901", "glpat-" + "ABCdef123456xyz78901"),
    ("xoxb-" + "123456789012-abcdefGHIJ", "xoxb-" + "123456789012-abcdefGHIJ"),
    ("AIza" + "SyA1234567890abcdefghijklmnopqrstu", "AIza" + "SyA1234567890abcdefghijklmnopqrstu"),
    ("sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc", "4eC39HqLyjWDarjtT1zdp7dc"),
    ("hf_" + "AbCdEfGhIjKl1234567890", "AbCdEfGhIjKl1234567890"),
    (f"token {JWT}", JWT[:60]),
    ("Authorization: Bearer abc123def456ghi789", "abc123def456ghi789"),
    ("authorization: basic dXNlcjpwYXNzd29yZA==", "dXNlcjpwYXNzd29yZA"),
    ("-----BEGIN RSA " + "PRIVATE KEY-----\nMIIEow\nIBAAKCAQEA\n", "MIIEow"),
    ("-----BEGIN " + "PRIVATE KEY-----\nMIIEow\n-----END PRIVATE KEY-----", "MIIEow"),
    ("password=hunter2", "hunter2"),
    ("password = 'correct horse'", "correct"),
    ('{"password": "swordfish"}', "swordfish"),
    ("My password is hunter2, thanks", "hunter2"),
    ("Passwort: geheim1", "geheim1"),
    ("password: swordfish\nnext line", "swordfish"),
    ("db_password=abc", "abc"),
    ("API key: 7f3b9a", "7f3b9a"),
    ("api_key=" + HEX, HEX),
    ("client_secret=s3cr3t&x=1", "s3cr3t"),
    ("AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG", "wJalrXUtnFEMI"),
    ("access_token=ya29x", "ya29x"),
    ("PIN: 4711", "4711"),
    ("postgres://admin:s3cret@db.internal/app", "s3cret"),
    ("key material AbCdEfGhIjKlMnOpQrStUvWxYz0123456789AbCd", "QrStUvWxYz0123456789"),
    ("write to jane.doe+news@mail.example.co.uk today", "jane.doe+news@mail.example.co.uk"),
    ("mail: müller@beispiel.de", "müller@beispiel.de"),
    ("<a href='mailto:x@example.com'>", "x@example.com"),
    ("call +49 171 2345678 now", "171 2345678"),
    ("+1 (415) 555-2671", "555-2671"),
    ("+14155552671", "4155552671"),
    ("(415) 555-2671", "555-2671"),
    ("415-555-2671", "555-2671"),
    ("Phone: (123) 456-7890", "456-7890"),
    ("415.555.2671", "555.2671"),
    ("0049 30 901820", "901820"),
    ("030 / 901 820 11", "901 820"),
    ("020 7946 0958", "7946 0958"),
    ("06 12 34 56 78", "12 34 56"),
    ("01712345678", "1712345678"),
    ("my phone number is 4155552671", "4155552671"),
    ("Tel.: 9018201", "9018201"),
    ("4111 1111 1111 1111", "1111 1111"),
    ("card 4111111111111111, exp 12/29", "4111111111111111"),
    ("5500-0000-0000-0004", "0000-0000"),
    ("3782 822463 10005", "822463"),
    ("DE89 3704 0044 0532 0130 00", "0044 0532"),
    ("GB29NWBK60161331926819", "60161331926819"),
    ("SSN 078-05-1120", "078-05-1120"),
]


@pytest.mark.parametrize(("text", "secret"), SECRETS)
def test_masked(text: str, secret: str) -> None:
    shown = excerpt(text)
    assert secret in text
    assert secret not in shown
    assert "[masked " in shown


@pytest.mark.parametrize(
    "text",
    [
        "Your order 1234567890 of 2024-01-15 ships on 15.01.2024 or 01/15/2024.",
        "Order number #4111111111111112 is not a card: its check digit is wrong.",
        "2025-10-09T08:53:20.123456+02:00",
        "Version 1.2.3.4, build 20251009, at 10:30-11:45.",
        "192.168.100.200 and 10.0.0.1:8080",
        "The answer is 3.14159265358979 or 1,234,567.89.",
        "1. First 2. Second 3. Third 10. Tenth",
        "12345 67890 (two numbers)",
        "In 1998-2004 some 100-200 people, pages 345-678.",
        "Please reset your password: open the settings and choose Security.",
        "A password must have 8 characters. The password is required.",
        "The key is to listen. Token economy, secret garden, pass the salt.",
        "Shipping: spinning pins. Basic understanding of bearer bonds.",
        "how-to-reset-your-password-in-10-easy-steps-for-2024",
        "6f9619ff-8b86-d011-b42d-00cf4fc964ff",
        "sha1 da39a3ee5e6b4b0d3255bfef95601890afd80709",
        "https://example.com/a/very/long/path/that/goes/on/and/on/index.html?page=2",
        "call search(), then task-list and risk-free desk-top work",
        "Here is a basic step-by-step guide, a very basic representation.",
        "https://open.spotify.example/playlist/37i9dQZF1DX3rxVfibe1L0",
        "setfen=r1bqkbnr/pppp1ppp/2n5/1B2p3/4P3/5N2/PPPP1PPP/RNBQK2R",
        "Meet me @noon, follow @handle, 3 @ 4 dollars",
        "ISBN 978-3-16-148410-0",
        "Call me Ishmael. Some years ago, 1851 to be exact.",
        "x = 5; y == 6; a => b",
        "0.5 to 0.75 and 0800",
        "==================================== 100% ====================================",
    ],
)
def test_left_alone(text: str) -> None:
    assert excerpt(text) == text[:160]


@pytest.mark.parametrize("position", range(100, 170, 3))
@pytest.mark.parametrize(
    "secret",
    [
        "jane.doe@example.com",
        "4111 1111 1111 1111",
        "+49 171 2345678",
        "DE89 3704 0044 0532 0130 00",
        "password=hunter2hunter2",
        "Bearer abc123def456ghi789jkl",
        JWT,
    ],
)
def test_a_secret_that_the_limit_cuts_is_masked_all_the_same(secret: str, position: int) -> None:
    text = ("lorem ipsum " * 20)[:position] + " " + secret + " dolor" * 200
    shown = excerpt(text)
    assert len(shown) <= 160
    core = secret.split("=")[-1].split(" ", 1)[-1]
    assert core[:8] not in shown


def test_several_and_overlapping_secrets() -> None:
    shown = excerpt("from a@example.com to b@example.com, password=a@example.com")
    assert shown == "from [masked email] to [masked email], [masked email]" or "example" not in shown


def test_limits() -> None:
    assert excerpt(None) == ""
    assert excerpt("") == ""
    assert excerpt("x" * 500) == "x" * 160
    assert excerpt("x" * 500, limit=10) == "x" * 10
    assert excerpt("a@example.com", mask=False) == "a@example.com"
    assert excerpt("a\ud800b") == "a?b"
    assert excerpt("é" * 200) == "é" * 160


@given(st.text(max_size=400), st.integers(0, 200), st.booleans())
def test_never_longer_than_the_limit_and_always_encodable(text: str, limit: int, mask: bool) -> None:
    shown = excerpt(text, limit, mask)
    assert len(shown) <= limit
    shown.encode()


@given(st.text(alphabet="a1@.-+( )/:=_\u0130\n", max_size=300))
def test_positions_hold_whatever_lower_case_does(text: str) -> None:
    assert len(excerpt("İ password: " + text)) <= 160


def test_only_the_beginning_is_looked_at() -> None:
    # A megabyte of what is dearest to match; the time limit of the suite is the assertion.
    for text in ("a" * 10**6, "1 " * 10**6, "a@" * 10**6, "eyJ" * 10**6, "password=" * 10**5, "0-" * 10**6):
        assert len(excerpt(text)) <= 160


_words = st.one_of(
    st.sampled_from([text for text, _ in SECRETS]),
    st.sampled_from(["mot de passe: x1", "contraseña=abc", "Kennwort: k9", "senha=1", "to\u212aen: abc1", "pwd=q"]),
    st.sampled_from(["passphrase: c0rrect", "passcode=77", "basic\u3000dXNlcjpwYXNzd29yZA==", "Bearer\nabc123def456g"]),
    st.text(alphabet="a1@.-+( )/:=_\u0130\u212a\n\x00", max_size=12),
    st.text(max_size=20),
)


@given(st.lists(st.none() | st.lists(_words, max_size=6).map(" ".join), max_size=5))
def test_many_at_once_are_as_each_alone(texts: list[str | None]) -> None:
    assert excerpts(texts) == [excerpt(text) for text in texts]


@pytest.mark.parametrize("text", [text for text, _ in SECRETS])
def test_the_pass_over_many_leaves_out_no_form_in_either_case(text: str) -> None:
    given = ["nothing here", text, None, text.upper(), "nor here"]
    assert excerpts(given) == [excerpt(one) for one in given]


def test_each_prefix_leaves_a_trace() -> None:
    for prefix in _PREFIXES:
        assert any(trace.decode() in prefix.lower() for trace in _TRACES), prefix
