"""Which language a text is in, by its script and its most common short words; silent where it cannot tell.

A script tells Chinese, Japanese, Korean, Greek, Thai, Hebrew and Armenian or Georgian apart; Cyrillic, Arabic and Devanagari are each
written by several languages, so there only another script is seen. Of languages in Latin letters nine are known, by words that
hardly occur elsewhere. A short text, a list of codes or drug names, or another language gives no answer, which is never a violation.
"""

import re
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache

from core.quality.records import Found, Records

READ = 1500  # characters of a text that are read
LEAST = 4  # common words that must be there
LEAD = 2.0  # times as many as of the next language

COMMON = {
    "en": "the and of to is that for with are this you your not have from can be or it if should may will as by which when",
    "de": "der die das und ist nicht mit ein eine zu den von dem auf für sich auch wird sie oder bei werden sind kann haben wenn",
    "fr": "le la les des est et une dans pour que qui pas vous du avec sur au sont ce plus ou votre être avez cette par",
    "es": "el los las que una por con para del se es su como más este puede si son al está pero muy debe también usted",
    "it": "il di che è per una non con del sono della si le gli da nel come più anche può essere questo se alla dei",
    "pt": "o os que uma não com para do da em é se por mais dos como ao pode ou são foi você seu das também está",
    "nl": "de het een en van is dat niet met voor op zijn te aan ook bij kan of worden naar als wordt uw deze moet",
    "sv": "och att det som en på är för med inte av den till om kan har du från eller vid detta ska bör när",
    "pl": "i w nie na się z do jest to że jak od po przez oraz może lub przy są być dla tego u ale jeśli",
}
"""Language -> its common words; a word that two languages share counts for both."""

SCRIPTS = {
    "ja": ("\u3040", "\u30ff"),
    "ko": ("\uac00", "\ud7af"),
    "zh": ("\u4e00", "\u9fff"),
    "el": ("\u0370", "\u03ff"),
    "he": ("\u0590", "\u05ff"),
    "th": ("\u0e00", "\u0e7f"),
    "Cyrillic": ("\u0400", "\u04ff"),
    "Arabic": ("\u0600", "\u06ff"),
    "Devanagari": ("\u0900", "\u097f"),
}
WRITTEN = {
    "Cyrillic": {"ru", "uk", "bg", "sr", "be", "mk", "kk", "ky", "mn", "tg"},
    "Arabic": {"ar", "fa", "ur", "ps", "ku", "ug"},
    "Devanagari": {"hi", "mr", "ne", "sa"},
}
NAMES = {
    "english": "en", "german": "de", "deutsch": "de", "french": "fr", "français": "fr", "francais": "fr", "spanish": "es",
    "español": "es", "espanol": "es", "italian": "it", "italiano": "it", "portuguese": "pt", "português": "pt", "dutch": "nl",
    "nederlands": "nl", "swedish": "sv", "svenska": "sv", "polish": "pl", "polski": "pl", "chinese": "zh", "mandarin": "zh",
    "japanese": "ja", "korean": "ko", "greek": "el", "hebrew": "he", "thai": "th", "russian": "ru", "ukrainian": "uk",
    "arabic": "ar", "persian": "fa", "farsi": "fa", "urdu": "ur", "hindi": "hi", "eng": "en", "deu": "de", "ger": "de", "fra": "fr",
    "fre": "fr", "spa": "es", "ita": "it", "por": "pt", "nld": "nl", "dut": "nl", "swe": "sv", "pol": "pl", "zho": "zh",
    "chi": "zh", "jpn": "ja", "kor": "ko", "ell": "el", "heb": "he", "tha": "th", "rus": "ru", "ukr": "uk", "ara": "ar",
    "fas": "fa", "urd": "ur", "hin": "hi",
}  # fmt: skip
_WORD = re.compile(r"[^\W\d_]+")
_BEYOND = re.compile(r"[\u0370-\U0010ffff]")


@lru_cache(maxsize=1)
def _languages_of() -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for code, words in COMMON.items():
        for word in words.split():
            found[word] = (*found.get(word, ()), code)
    return found


@lru_cache(maxsize=4096)
def code_of(declared: str) -> str:
    """The two-letter code of a declared language ("en-GB", "English", "eng"), or "" for one that is not known here."""
    value = declared.strip().casefold()
    short = re.split(r"[-_ (]", value)[0]
    for name in (value, short):
        if name in NAMES:
            return NAMES[name]
    known = {*COMMON, *SCRIPTS, *(code for codes in WRITTEN.values() for code in codes)}
    return short if short in known else ""


def script_of(text: str) -> str:
    """The language or script, of SCRIPTS, that most letters of a text are in; "" for Latin letters or none."""
    beyond = _BEYOND.findall(text)
    if len(beyond) < 8:
        return ""
    count = Counter(name for char in beyond for name, (low, high) in SCRIPTS.items() if low <= char <= high)
    if not count or 2 * sum(count.values()) < sum(len(word) for word in _WORD.findall(text)):
        return ""
    if count["ja"] and count["ja"] * 20 >= count["zh"]:  # Japanese is written with Chinese characters between its own
        return "ja"
    return max(count, key=lambda name: count[name])


def detected(text: str) -> str:
    """The language of a text (a code of COMMON, or a name of SCRIPTS), or "" where it cannot be told."""
    text = text[:READ]
    if not text.isascii():
        script = script_of(text)
        if script:
            return script
    languages, count = _languages_of(), Counter()
    for word in text.casefold().split():
        for code in languages.get(word.strip(".,;:!?()\"'«»“”"), ()):
            count[code] += 1
    best = count.most_common(2)
    if not best or best[0][1] < LEAST or (len(best) > 1 and best[0][1] < LEAD * best[1][1]):
        return ""
    return best[0][0]


def agrees(declared: str, found: str) -> bool:
    """Whether a text found to be in one language may be of the declared one (a code of `code_of`)."""
    return found == declared or declared in WRITTEN.get(found, ())


def language(records: Records, params: dict) -> Iterator[Found]:
    """Texts that are surely in another language than the column `language` says; what cannot be told is no violation."""
    column = params.get("column", "response")
    wanted = records.texts("language")
    for row, text in enumerate(records.texts(column)):
        code = code_of(wanted[row]) if wanted[row] else ""
        if not code or not text:
            continue
        found = detected(text)
        if found and not agrees(code, found):
            yield Found(row, f"declared as {wanted[row][:20]}, but the {column} reads as {found}", column, 0)
