from __future__ import annotations

import numpy as np
import pytest

from monitor.events.schema import OutputEvent
from monitor.features.families.language import Language, is_english
from monitor.features.text.words import EventBatch, TextBatch, table_for
from tests.features.columns import columns_of

# One sentence in each: "Why can't I log in to my account today?", more or less.
SENTENCES = {
    "en": ("Why can't I log in to my account today?", "Latn"),
    "de": ("Warum kann ich mich heute nicht bei meinem Konto anmelden?", "Latn"),
    "fr": ("Je voudrais savoir pourquoi ma carte bancaire ne fonctionne plus depuis hier.", "Latn"),
    "es": ("¿Por qué no puedo acceder a mi cuenta? Necesito ayuda, por favor.", "Latn"),
    "it": ("Vorrei sapere come posso cambiare la mia password senza perdere i dati.", "Latn"),
    "pt": ("Não consigo entrar na minha conta desde ontem, o que devo fazer?", "Latn"),
    "nl": ("Waarom kan ik niet inloggen op mijn account? Het wachtwoord is juist.", "Latn"),
    "pl": ("Nie mogę zalogować się na swoje konto, co powinienem zrobić?", "Latn"),
    "tr": ("Bugün hesabıma neden giriş yapamıyorum, yardım eder misiniz?", "Latn"),  # noqa: RUF001
    "ru": ("Почему я не могу войти в свой аккаунт сегодня?", "Cyrl"),
    "el": ("Γιατί δεν μπορώ να συνδεθώ στον λογαριασμό μου σήμερα;", "Grek"),  # noqa: RUF001
    "ar": ("لماذا لا أستطيع الدخول إلى حسابي اليوم؟", "Arab"),
    "he": ("למה אני לא מצליח להיכנס לחשבון שלי היום?", "Hebr"),
    "hi": ("मैं आज अपने खाते में लॉग इन क्यों नहीं कर पा रहा हूँ?", "Deva"),
    "zh": ("为什么我今天无法登录我的账户?请帮帮我。", "Hani"),
    "ja": ("今日はなぜアカウントにログインできないのですか?", "Jpan"),
    "ko": ("오늘 왜 내 계정에 로그인할 수 없나요?", "Hang"),
    "th": ("ทำไมวันนี้ฉันถึงเข้าสู่ระบบบัญชีของฉันไม่ได้", "Thai"),
}


@pytest.mark.parametrize("code", SENTENCES)
def test_code_and_script(code: str) -> None:
    text, script = SENTENCES[code]
    found = columns_of(Language("output"), [text])
    assert (found["output.language.code"], found["output.language.script"]) == ([code], [script])


@pytest.mark.parametrize("text", ["ok thanks", "reset password", "Sure!", "Photosynthesis converts light energy"])
def test_short_english_needs_no_identifier(text: str) -> None:
    assert is_english(TextBatch([text], table_for([Language("output")])))[0]


def test_nothing_but_english_is_taken_for_english_in_the_one_pass() -> None:
    table = table_for([Language("output")])
    others = [text for code, (text, _) in SENTENCES.items() if code != "en"]
    assert not is_english(TextBatch(others, table)).any()


def test_what_cannot_be_told() -> None:
    found = columns_of(Language("output"), ["xqzt", '{"kx": [1]}', "42 + 1", "", None])
    assert found["output.language.code"] == ["und", "und", None, None, None]
    assert found["output.language.script"] == ["Latn", "Latn", None, None, None]


def test_share_beyond_ascii_is_of_all_characters() -> None:
    share = columns_of(Language("output"), ["aé b", "plain"])["output.language.non_ascii"]
    assert share.tolist() == [0.25, 0]


def test_input_side() -> None:
    event = OutputEvent(stream="s", output="x", input=SENTENCES["de"][0])
    family = Language("input")
    columns = family.extract(EventBatch([event], table_for([family])))
    assert columns["input.language.code"] == ["de"]
    assert np.isfinite(np.asarray(columns["input.language.non_ascii"], dtype=np.float32)[0])


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("您的訂單已經寄出\uff0c明天會到。", "zh"),
        ("您的订单已经寄出\uff0c明天会到。", "zh"),
        ("ご注文は明日届きます。", "ja"),
        ("주문하신 상품은 내일 도착합니다.", "ko"),
        ("Pakken din er sendt og kommer i morgen.", "no"),
        ("Pakka di er send og kjem i morgon.", "no"),
        ("Vaš paket je poslan i stiže sutra ujutro.", "sh"),
        ("Vaš paket je poslat i stiže sutra ujutru.", "sh"),
        ("Ваша посылка прибудет завтра.", "ru"),
        ("Paket Anda akan tiba besok pagi, terima kasih.", "id"),
        ("Δέμα έρχεται αύριο.", "el"),
    ],
)
def test_languages_that_differ_in_few_words(text: str, code: str) -> None:
    assert columns_of(Language("output"), [text])["output.language.code"] == [code]
