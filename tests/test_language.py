"""The tables of translated sentences: whole, used, and with the same parts that change."""

import ast
import re

import pytest

from sdkit import errors, language
from sdkit.files import ROOT
from sdkit.lessons import checks, plots

# modules whose sentences the tables must have, and in which all strings of two words count
CHECKS = (
    "lessons/checks/__init__.py",
    "lessons/checks/lesson_00.py",
    "lessons/checks/lesson_11.py",
)
# and those in which the sentences of errors count
ERRORS = ("pictures/photos.py", "models/picture_settings.py")
TABLES = {name: language._table(name)[0] for name in language.known() if name != "en"}
tables = pytest.mark.parametrize("name", TABLES)


@pytest.fixture(autouse=True)
def english_again():
    yield
    language.use("en")


def template(node):
    """A string of the code, with {} for what changes in it."""
    if isinstance(node, ast.Constant):
        return node.value
    return "".join(p.value if isinstance(p, ast.Constant) else "{}" for p in node.values)


def strings(tree):
    """All strings, without docstrings and without the pieces of other strings."""
    nodes, pieces = list(ast.walk(tree)), set()
    for node in nodes:
        if isinstance(node, ast.JoinedStr):
            pieces |= set(ast.walk(node)) - {node}
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            pieces.add(node.value)
    for node in nodes:
        text = isinstance(node, ast.Constant) and isinstance(node.value, str)
        if node not in pieces and (text or isinstance(node, ast.JoinedStr)):
            yield template(node)


def tree(path):
    return ast.parse((ROOT / "sdkit" / path).read_text(encoding="utf-8"))


def sentences():
    """What the tables must have."""
    for path in CHECKS:
        # A sentence that is added to another one stands in the table as a whole.
        yield from (t for t in strings(tree(path)) if " " in t.strip() and not t.startswith(" "))
    for path in ERRORS:
        for node in ast.walk(tree(path)):
            call = isinstance(node, ast.Call) and getattr(node.func, "id", "") == "SdkitError"
            if call and isinstance(node.args[0], (ast.Constant, ast.JoinedStr)):
                yield template(node.args[0])


@tables
def test_a_table_has_every_sentence_of_the_checks_and_of_these_errors(name):
    wanted = list(sentences())
    assert len(wanted) > 100
    assert [text for text in wanted if text not in TABLES[name]] == []


@tables
def test_a_table_has_no_sentence_that_the_kit_does_not_say(name):
    code = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "sdkit").rglob("*.py"))
    # texts that are written over several lines, or put together, as one line
    code = re.sub(r'"\s*\n\s*f?"', "", code).replace('\\"', '"')
    code = re.sub(r"\{[^{}\n]*(\{[^{}\n]*\})?[^{}\n]*\}", "{}", code)
    parts = [part for text in TABLES[name] for part in text.split("{}") if " " in part.strip()]
    assert len(parts) > 100
    assert [part for part in parts if part.strip(' .,:;()"') not in code] == []


@tables
def test_a_translation_has_the_same_number_of_parts(name):
    for english, translated in TABLES[name].items():
        count = english.count("{}")
        numbered = re.findall(r"\{(\d)\}", translated)
        assert translated.count("{}") == (0 if numbered else count), english
        assert all(int(number) < count for number in numbered), english
        assert translated.format(*range(count)).strip()


def test_checks_speak_the_chosen_language(capsys):
    language.use("de")
    checks.check("11.1", 30)
    checks.check("11.1", 10)
    checks.check("11.1", ...)
    checks.compare("Minuten", 4.8)
    said = capsys.readouterr().out.splitlines()
    assert said == [
        "11.1: noch nicht. Hinweis: 30 würde mit reinem Rauschen beginnen. "
        "Das Foto bekommt nur einen Teil des Rauschens.",
        "11.1: ✓ richtig.",
        "11.1: noch nicht versucht.",
        "Minuten: deine Schätzung keine, gemessen 4.8",
    ]
    language.use("en")
    checks.check("11.1", 10)
    assert capsys.readouterr().out == "11.1: ✓ right.\n"


def test_the_jobs_of_exercise_00_1_may_have_german_names(capsys):
    language.use("de")
    jobs = {language.translate(job): part for job, part in checks.lesson_00.JOBS.items()}
    assert set(jobs).isdisjoint(checks.lesson_00.JOBS)
    checks.check("00.1", jobs)
    first, *_, last = jobs
    checks.check("00.1", jobs | {first: jobs[last], last: jobs[first]})
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "00.1: ✓ richtig."
    assert "encoder und decoder sind vertauscht" in said[1]


def test_errors_and_labels_speak_the_chosen_language():
    sentence = "notes.txt is empty (0 bytes). Copy it again from where it came."
    assert str(errors.SdkitError(sentence)) == sentence
    language.use("de")
    assert str(errors.SdkitError(sentence)).startswith("notes.txt ist leer (0 Bytes).")
    assert str(errors.SdkitError("Never said.")) == "Never said."
    ax = plots.figure(1)[1][0]
    plots.parameter_table(ax, {"strength": 0.5})
    assert "Stärke" in [text.get_text() for text in ax.texts]


def test_the_longest_fitting_sentence_counts_and_parts_are_translated():
    language.use("de")
    hint = 'multiply by the channels. (checks.solution("00.2") shows the answer.)'
    said = language.translate(f"00.2: not yet. Hint: {hint}")
    assert said == (
        "00.2: noch nicht. Hinweis: multipliziere mit den Kanälen (channels). "
        '(checks.solution("00.2") zeigt die Antwort.)'
    )


def test_a_language_without_a_table_is_refused():
    with pytest.raises(ValueError, match="Choose one of: en, de"):
        language.use("xx")
