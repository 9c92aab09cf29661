"""Whatever a spec says, and whatever it is called: an op or a clean error, soon, and nothing of it is ever run."""

from __future__ import annotations

import ast
from pathlib import Path
from time import process_time

import pytest
from click.testing import CliRunner, Result

from tensorgrad_gen.cli import main
from tensorgrad_gen.errors import SpecError
from tensorgrad_gen.outputs import check_generated, parse_header
from tensorgrad_gen.pipeline import run

SECONDS = 15.0  # of processor time; each takes far less on an idle machine, and a hang takes forever
HEAD = "op: t\ninputs:\n  x: [b, i]\n  w: [i]\n  s: []\n"


def spec(value: str, left: str = "y[b,i]") -> str:
    return f"{HEAD}equations: |\n  {left} = {value}\noutputs: [y]\n"


def terms(number: int, term: str, joint: str = " + ") -> str:
    return joint.join(term.replace("K", str(k)) for k in range(1, number + 1))


def functions(number: int, body: str) -> str:
    """User's functions, each of the one before."""
    lines = [f"  f{k}(z): {body.replace('F', f'f{k - 1}')}\n" for k in range(1, number + 1)]
    last = f"equations: |\n  y[i] = f{number}(x[i])\n"
    return f"op: t\ninputs: {{x: [i]}}\nfunctions:\n  f0(z): z*z + sin(z)\n{''.join(lines)}{last}"


def chain(number: int, step: str) -> str:
    """Equations, each of the one before."""
    lines = [f"  a{k}[i] = {step.replace('A', f'a{k - 1}[i]')}\n" for k in range(1, number + 1)]
    return f"op: t\ninputs: {{a0: [i]}}\nequations: |\n{''.join(lines)}"


def network(number: int, letters: list[tuple[int, int]], left: str) -> str:
    """A product of matrices with these letters."""
    names = [(f"m{a}_{c}", f"a{a}", f"a{c}") for a, c in letters]
    inputs = "".join(f"  {name}: [{one}, {two}]\n" for name, one, two in names)
    product = "*".join(f"{name}[{one},{two}]" for name, one, two in names)
    return f"op: t\ninputs:\n{inputs}equations: |\n  {left} = {product}\n"


LARGE = {
    "max of 500": spec(f"max(x[b,i], {terms(500, 'K*w[i]', ', ')})"),
    "min of 40": spec(f"min(x[b,i], {terms(40, 'K*w[i]', ', ')})"),
    "5,000 terms": spec(terms(5000, "K*x[b,i]")),
    "500 sines": spec(terms(500, "sin(K*x[b,i])")),
    "500 powers": spec(terms(500, "x[b,i]^K")),
    "1,000 factors": spec(terms(1000, "x[b,i]", "*")),
    "1,000 sums multiplied": spec(terms(1000, "(x[b,i] + K)", "*")),
    "200 sines multiplied": spec(terms(200, "sin(K*x[b,i])", "*")),
    "1,000 divisors": spec(terms(1000, "x[b,i]", "/")),
    "30 functions": spec("sin(" * 30 + "x[b,i]" + ")" * 30),
    "30 functions of products": spec("sin(x[b,i]*" * 30 + "s" + ")" * 30),
    "30 softmaxes": spec("softmax[i](" * 30 + "x[b,i]" + ")" * 30),
    "30 maxima": spec("max(s, " * 30 + "x[b,i]" + ")" * 30),
    "30 choices": spec("where(x[b,i] > s, s, " * 30 + "x[b,i]" + ")" * 30),
    "15 sums": spec("sum[i](x[b,i]*exp(" * 15 + "s" + "))" * 15, "y[b]"),
    "30 roots": spec("sqrt(" * 30 + "x[b,i]^2" + ")" * 30),
    "30 squares": spec("(" * 30 + "x[b,i]" + " + s)^2" * 30),
    "14 exponentials of logs": spec("exp(x[b,i] + s*log(1 + " * 14 + "x[b,i]" + "))" * 14),
    "a tower of powers": spec(terms(31, "x[b,i]", "^")),
    "9^9^9": spec("x[b,i] + 9^9^9"),
    "x^9^9": spec("x[b,i]^9^9"),
    "the 1000th power of a sum": spec("(1 + x[b,i])^1000"),
    "60 huge numbers": spec(f"x[b,i]*{terms(60, '1e300', '*')}"),
    "3,000 fractions": spec(f"x[b,i]*({terms(3000, '1/K')})"),
    "300 conditions": spec(f"{terms(300, '[x[b,i] > K]', '*')}*x[b,i]"),
    "500 conditions in one": spec(f"where({terms(500, 'x[b,i] > K', ' and ')}, x[b,i], 0)"),
    "100 deltas": spec(f"{terms(100, 'delta[jK,jjK]*delta[jjK,i]*delta[jK,i]', '*')}*x[b,i]"),
    "40 norms": spec(terms(40, "sqrt(w[i]*w[i] + s)", "*"), "y"),
    "an 8-index permutation": spec("levi_civita[a,c,d,e,f,g,h,k]^2*s", "y"),
    "functions of functions": functions(20, "F(z)*F(z) + F(2*z)"),
    "few functions of functions": functions(5, "F(z)*F(z) + F(2*z)"),
    "300 equations": chain(300, "sin(A)*A"),
    "60 squarings": chain(60, "A*A + A"),
    "a chain of 200 matrices": network(200, [(k, k + 1) for k in range(200)], "y[a0,a200]"),
    "a clique of 12 indices": network(12, [(j, k) for j in range(12) for k in range(j)], "y"),
    "500 inputs": "op: t\ninputs:\n"
    + "".join(f"  x{k}: [i]\n" for k in range(1, 501))
    + f"equations: |\n  y[i] = {terms(500, 'xK[i]')}\n",
    "300 indices": f"op: t\ninputs: {{x: [{terms(300, 'iK', ', ')}]}}\n"
    f"equations: |\n  y[{terms(300, 'iK', ',')}] = x[{terms(300, 'iK', ',')}]^2\n",
    "5,000 constants": f"op: t\ninputs: {{x: [i]}}\nconstants: {{k: [{terms(5000, 'K', ', ')}]}}\n"
    "equations: |\n  y[i] = x[i]*k[j]*one[j]\n",
    "deep YAML": f"op: t\ninputs: {'[' * 100_000}\n",
    "deep mappings": f"op: t\ninputs: {'{a: ' * 100_000}\n",
    "deep blocks": "op: t\n" + "".join(f"{' ' * k}a:\n" for k in range(1000)),
    "deep parentheses": spec("(" * 20_000 + "x[b,i]" + ")" * 20_000),
    "a doubling alias": "op: t\na: &a [x, x]\n" + "".join(f"a{k}: &a{k} [*a, *a]\n" for k in range(30)),
    "a tag": "op: !!python/object/apply:os.system ['touch pwned']\n",
    "a long name": spec("x" * 900_000 + "[b,i]"),
    "a long number": spec("x[b,i]*" + "9" * 900_000),
    "a long line of nothing": spec("x[b,i]" + " " * 900_000),
    "many errors": "op: t\ninputs: {x: [i]}\nequations: |\n" + "  y[i] = ?\n" * 50_000,
    "many keys": "op: t\n" + "".join(f"k{k}: 1\n" for k in range(5_000)),
}


@pytest.mark.parametrize("name", LARGE)
def test_what_is_large_or_deep_ends_soon(name: str) -> None:
    start = process_time()
    try:
        source = run(LARGE[name], "t.yaml").source
    except SpecError as error:
        assert all(d.code for d in error.diagnostics)
        assert len(str(error)) < 100_000
    else:
        check_generated(source)
    assert process_time() - start < SECONDS


# Text that would do harm if it were ever read as code, as a shell's command, as a path, or as an escape.
HARM = (
    '"""\nimport os; os.system("touch pwned")\n"""',
    "'''; __import__('os').system('touch pwned') #",
    '\\"""+__import__("os").system("touch pwned")+"""',
    '\\N{QUOTATION MARK}"" \\x22\\x22\\x22 \\u0022 \\',
    "{{ config }} {% for x in y %} {# #} ${IFS} `touch pwned` $(touch pwned)",
    "a\r\nimport os\x0bimport sys\x85import re\u2028import io",
    "\u202eimport os\u202c \u200b",
    "../../etc/passwd\\..\\x",
    "# type: ignore\n# fmt: off\n\ndef f(): pass",
)


def shape(source: str) -> str:
    """The code of a module: all but its strings and comments."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            node.value = ""
    return ast.dump(tree)


def quoted(text: str) -> str:
    """The text as a double-quoted YAML scalar."""
    escapes = {'"': '\\"', "\\": "\\\\"}
    return '"' + "".join(escapes.get(c, c if " " <= c <= "~" else f"\\u{ord(c):04x}") for c in text) + '"'


def documented(text: str) -> str:
    return (
        f"op: t\ndoc: {quoted(text)}\ninputs:\n  x: {{indices: [i], doc: {quoted(text)}}}\n"
        "equations: |\n  y[i] = 2*x[i]\n"
    )


@pytest.mark.parametrize("harm", HARM)
def test_documentation_is_never_code(harm: str) -> None:
    try:
        source = run(documented(harm), "t.yaml").source
    except SpecError as error:
        assert {d.code for d in error.diagnostics} == {"E122"}  # a character that no spec has
        return
    check_generated(source)
    assert shape(source) == shape(run(documented("plain"), "t.yaml").source)


@pytest.mark.parametrize("harm", HARM)
@pytest.mark.parametrize(
    "template",
    [
        "op: H\n",
        "op: t\ninputs: {H: [i]}\nequations: 'y[i] = x[i]'\n",
        "op: t\ninputs: {x: [H]}\nequations: 'y[i] = x[i]'\n",
        "op: t\ninputs: {x: {indices: [i], domain: H}}\nequations: 'y[i] = x[i]'\n",
        "op: t\ninputs: {x: [i]}\nparams: {H: 1}\nequations: 'y[i] = x[i]'\n",
        "op: t\ninputs: {x: [i]}\nparams: {p: H}\nequations: 'y[i] = p*x[i]'\n",
        "op: t\ninputs: {x: [i]}\nfunctions: {f(z): H}\nequations: 'y[i] = f(x[i])'\n",
        "op: t\ninputs: {x: [i]}\nfunctions: {H: z}\nequations: 'y[i] = x[i]'\n",
        "op: t\ninputs: {x: [i]}\nsizes: {H: i}\nequations: 'y[i] = x[i]'\n",
        "op: t\ninputs: {x: [i]}\nequations: [H]\n",
        "op: t\ninputs: {x: [i]}\nequations: 'y[i] = x[i]'\noutputs: [H]\n",
        "op: t\ninputs: {x: [i]}\nequations: 'y[i] = x[i]'\ntarget: H\n",
        "op: t\ninputs: {x: [i]}\nequations: 'y[i] = x[i]'\nH: H\n",
    ],
)
def test_a_name_or_formula_that_is_code_is_an_error(template: str, harm: str) -> None:
    with pytest.raises(SpecError) as caught:
        run(template.replace("H", quoted(harm)), "t.yaml")
    assert all(c.isprintable() or c in "\n\t" for c in str(caught.value))


@pytest.mark.parametrize(
    "formula",
    [
        "__import__('os').system('touch pwned')",
        "eval(x[i])",
        "exec[i](x[i])",
        "x.__class__",
        "x[i].data",
        "lambda: x[i]",
        "(yield x[i])",
        "[x for x in x]",
        "open[i]",
        "torch[i]",
        "x[__class__]",
        "x[i] if 1 else x[i]",
        "f'{x}'",
        "x[i:=3]",
    ],
)
def test_a_formula_that_is_python_is_an_error(formula: str) -> None:
    with pytest.raises(SpecError):
        run(f"op: t\ninputs: {{x: [i]}}\nequations: |\n  y[i] = {formula}\n", "t.yaml")


# Names that generated code, Python or torch use: each builds with the name as it is or made local, or is refused.
NAMES = (
    "torch", "self", "cls", "ctx", "Tensor", "Any", "print", "eval", "exec", "open", "getattr", "__class__",
    "__name__", "__builtins__", "_", "__", "_runtime", "_INPUTS", "type", "super", "list", "tuple", "float",
    "int", "bool", "dict", "set", "range", "len", "sum", "max", "grad_y", "tangent_x", "grad_x", "saved",
    "outputs", "inputs", "staticmethod", "T", "TDual", "t", "forward", "backward", "jvp", "vmap",
    "setup_context", "apply", "None", "True", "False",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_means_something_elsewhere_does_no_harm(name: str) -> None:
    text = (
        f"op: t\ninputs: {{{quoted(name)}: [i]}}\nparams: {{p: 2}}\n"
        f"equations: |\n  z[i] = p*sin({name}[i])\n  y[i] = z[i]*{name}[i]\noutputs: [y]\n"
    )
    try:
        check_generated(run(text, "t.yaml").source)
    except SpecError as error:
        assert name in str(error)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


GOOD = "op: t\ninputs: {x: [i]}\nequations: |\n  y[i] = 2*x[i]\n"


def build(*arguments: str) -> Result:
    """The command; it may fail, but never by an exception of its own."""
    result = CliRunner().invoke(main, ["build", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def put(path: Path, text: str = GOOD) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.mark.parametrize("name", ["../t", "..", "/tmp/t", "a/b", "t.py", "__init__", "_runtime", "t;ls", "t\\nu"])
def test_the_name_of_an_op_is_no_path(folder: Path, name: str) -> None:
    put(folder / "specs" / "nn" / "t.yaml", GOOD.replace("op: t", f'op: "{name}"'))
    assert build("specs").exit_code == 2
    assert sorted(p.name for p in folder.rglob("*") if p.is_file() and p.parent.name != "generated") == ["t.yaml"]


@pytest.mark.parametrize("name", ['a"""b', "a\nimport os\n", "$(touch pwned)", "a'b", "a;b", "{{x}}", "\u202eb", " "])
def test_the_name_of_a_folder_is_never_code(folder: Path, name: str) -> None:
    put(folder / name / "nn" / "t.yaml")
    assert build(name).exit_code == 0
    source = (folder / "generated" / "nn" / "t.py").read_text()
    header = parse_header(source)
    assert header is not None
    assert shape(source) == shape(run(GOOD, "t.yaml", meta={"spec_path": "t.yaml", "depth": 1}).source)
    assert all(c.isprintable() or c == "\n" for c in source)
    for path in (folder / "generated").rglob("*.py"):
        assert parse_header(path.read_text()) is not None
    assert not (folder / "pwned").exists()


@pytest.mark.parametrize("name", ['a"b', "a\nb", "$(ls)", "class", "a b", "..."])
def test_a_group_that_is_no_name_is_a_usage_error(folder: Path, name: str) -> None:
    put(folder / "specs" / name / "t.yaml")
    assert build("specs").exit_code == 2
    assert not list(folder.rglob("*.py"))


@pytest.mark.parametrize(
    "name", ['a"b.yaml', "a\nb.yaml", "$(ls).yaml", "class.yaml", "T.yaml", "__init__.yaml", ".yaml", "t.txt"]
)
def test_a_file_whose_name_is_no_op_is_a_clean_error(folder: Path, name: str) -> None:
    put(folder / "specs" / "nn" / name)
    result = build("specs")
    assert result.exit_code == 2
    assert not list(folder.rglob("t.py"))


def test_links_among_the_specs_lead_nowhere_else(folder: Path) -> None:
    put(folder / "specs" / "nn" / "t.yaml")
    (folder / "specs" / "nn" / "loop").symlink_to(folder / "specs")
    (folder / "specs" / "nn" / "gone.yaml").symlink_to(folder / "nowhere.yaml")
    build("specs")
    assert {p.parent.name for p in folder.rglob("t.py")} <= {"nn"}


@pytest.mark.parametrize("link", ["generated", "generated/nn", "generated/nn/t.py", "generated/_runtime.py"])
def test_no_link_leads_out_of_the_output_folder(folder: Path, link: str) -> None:
    put(folder / "specs" / "nn" / "t.yaml")
    outside = folder / "outside"
    outside.mkdir()
    place = folder / link
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(outside / "target.py" if link.endswith(".py") else outside)
    assert build("specs").exit_code == 2
    assert list(outside.iterdir()) == []
