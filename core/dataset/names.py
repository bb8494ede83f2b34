"""The usual names of fields, by what they hold. Compared without case, spaces, `_` and `-`; the first in a row wins."""

PROMPT = (
    *("prompt", "instruction", "question", "query", "userprompt", "userinput", "userquery", "usermessage", "problem"),
    *("input", "user", "human", "patient", "chq", "text", "utterance", "sentence", "message", "content", "title"),
    *("questiontext", "medicalabstract", "abstract"),
)
RESPONSE = (
    *("response", "output", "completion", "answer", "answers", "longanswer", "assistant", "assistantresponse"),
    *("modelresponse", "reply", "target", "solution", "summary", "groundtruthanswer", "groundtruth", "reference"),
    *("doctor", "bot", "gpt", "expectedoutput", "expected", "generation", "finalanswer", "answertext"),
)
INPUT = ("input", "context", "contexts", "passage", "document", "abstract")
OPTIONS = ("choices", "options", "answerchoices")
QUESTION = ("question", "questiontext", "query", "problem", "chq", "userquery")
CONVERSATION = ("messages", "conversations", "conversation", "dialogue", "dialog", "chat", "turns")
SYSTEM = ("system", "systemprompt", "systemmessage")
REASONING = (
    *("reasoning", "rationale", "thinking", "think", "thought", "thoughts", "chainofthought", "cot", "complexcot"),
    *("reasoningcontent", "reasoningtrace", "explanation", "analysis"),
)
CHOSEN = ("chosen", "responsechosen", "chosenresponse", "preferred", "accepted", "winner")
REJECTED = ("rejected", "responserejected", "rejectedresponse", "dispreferred", "nonpreferred", "loser")
CATEGORY = (
    *("category", "specialty", "speciality", "topic", "domain", "subject", "qtype", "questiontype", "tasktype", "task"),
    *("intent", "finaldecision", "department", "label", "class", "conditionlabel"),
)
LABEL = ("label", "intent", "class", "category", "conditionlabel", "target")
LANGUAGE = ("language", "lang", "locale")
DIFFICULTY = ("difficulty", "difficultyscore", "difficultyrating", "difficultylevel", "hardness")
ANNOTATOR = (
    *("annotator", "annotatorid", "annotatorname", "author", "labeler", "labeller", "rater", "raterid", "workerid"),
    "writer",
)
ID = ("id", "recordid", "uid", "uuid", "sampleid", "exampleid", "key")
TOOLS = ("tools", "functions")
TIME = ("date", "time", "timestamp", "created", "updated", "createdat", "updatedat", "datetime")

RECORD_NAMES = frozenset(
    {"prompt", "instruction", "question", "query", "messages", "conversations", "conversation", "input", "output"}
    | {"response", "completion", "answer", "chosen", "text", "id"}
)
"""A lone JSON object with one of these names (lower case) at its top level is itself a record."""


def key(name: str) -> str:
    """A field name as these tables write it."""
    return name.casefold().replace("_", "").replace("-", "").replace(" ", "")
