from __future__ import annotations

import ast
import gzip
import json
import time
import warnings
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_mcode.extract import READ, extract

DATA = Path(__file__).parents[2] / "shared" / "data"

F = "def f(x):\n    return x + 1\n"
DRAFT = "def f(x):\n    return x\n"
BROKEN = "def f(x:\n    return x\n"
FENCED = f"```python\n{F}```"


def fence(code: str, label: str = "python") -> str:
    return f"```{label}\n{code}```\n"


# Each row: what is special about the answer, the answer, the solution for entry point f without preamble.
FENCES = [
    ("one fence", FENCED, F),
    ("prose around", f"Sure! Here you are:\n\n{FENCED}\n\nIt adds one.", F),
    ("py", fence(F, "py"), F),
    ("python3", fence(F, "python3"), F),
    ("capital Python", fence(F, "Python"), F),
    ("space before the language", fence(F, " python"), F),
    ("language with attributes", fence(F, "python title='a.py'"), F),
    ("language in braces", fence(F, "{.python .numberLines}"), F),
    ("version in the language", fence(F, "python3.11"), F),
    ("tool_code", fence(F, "tool_code"), F),
    ("no language", fence(F, ""), F),
    ("language on the next line", f"```\npython\n{F}```", F),
    ("tildes", f"~~~python\n{F}~~~", F),
    ("four backticks", f"````python\n{F}````", F),
    ("four backticks around three", f'````python\nX = """\n```\n"""\n{F}````', f'X = """\n```\n"""\n{F}'),
    (
        "backticks in a docstring",
        '```python\ndef f(x):\n    """\n    ```\n    f(1)\n    ```\n    """\n```',
        'def f(x):\n    """\n    ```\n    f(1)\n    ```\n    """\n',
    ),
    ("fence in a list item", "1. So:\n\n   ```python\n   def f(x):\n       return x + 1\n   ```\n\n2. Done.", F),
    ("fence after a list marker", "- ```python\n  def f(x):\n      return x + 1\n  ```", F),
    ("code less indented than its fence", f"   ```python\n{F}   ```", F),
    ("code more indented than its fence", "```python\n    def f(x):\n        return x + 1\n```", F),
    ("fence indented by a tab", "\t```python\n\tdef f(x):\n\t    return x + 1\n\t```", F),
    ("fence after prose on its line", f"The code is: ```python\n{F}```", F),
    ("code on the fence's line", "```python def f(x):\n    return x + 1\n```", F),
    ("code on the fence's line, no language", "```def f(x):\n    return x + 1\n```", F),
    ("end of the fence on the last line of code", "```python\ndef f(x):\n    return x + 1```\nIt adds.", F),
    ("prose after the end of the fence on its line", f"```python\n{F}``` This adds one.", F),
    ("an opening line ends the fence", f"```python\n{F}```python\nprint(f(1))\n```", F),
    ("Markdown around the fence", f"```markdown\n# Answer\n{FENCED}\n```", F),
    ("HTML before the fence", f"<answer>\n{FENCED}\n</answer>", F),
    ("inline code before the fence", f"Use `x` and ```y```.\n{FENCED}", F),
    ("CRLF", f"Here:\r\n{FENCED}\r\n".replace("\n", "\r\n").replace("\r\r", "\r"), F),
    ("CR", FENCED.replace("\n", "\r"), F),
    ("blank lines around the code", f"```python\n\n\n{F}\n\n```", F),
    ("tabs", "```python\ndef f(x):\n\treturn x + 1\n```", "def f(x):\n\treturn x + 1\n"),
    ("syntax error", fence(BROKEN), BROKEN),
    ("wrong name", fence("def g(x):\n    return x\n"), "def g(x):\n    return x\n"),
    ("method of a class", fence(f"class A:\n    {F}"), f"class A:\n    {F}"),
    (
        "main guard",
        fence(f"{F}\nif __name__ == '__main__':\n    f(1)\n"),
        f"{F}\nif __name__ == '__main__':\n    f(1)\n",
    ),
    ("example call", fence(f"{F}\nprint(f(input()))\n"), f"{F}\nprint(f(input()))\n"),
    ("body alone", fence("    y = x\n    return y\n"), "y = x\nreturn y\n"),
    ("body alone, broken", fence("    y = (x\n    return y\n"), "    y = (x\n    return y\n"),
    ("warning of a wrong escape", fence("f = lambda x: '\\d'\n"), "f = lambda x: '\\d'\n"),
    ("NUL in the code", fence("f = 1\0\n"), "f = 1\0\n"),
    ("lone surrogate in the code", fence("f = '\ud800'\n"), "f = '\ud800'\n"),
    ("deep nesting", fence(f"f = {'(' * 999}\n"), f"f = {'(' * 999}\n"),
    ("a sum too long for the parser", fence(f"f = 1{' + 1' * 9999}\n"), f"f = 1{' + 1' * 9999}\n"),
    ("class as entry point", fence("class f:\n    x = 1\n"), "class f:\n    x = 1\n"),
    ("async entry point", fence("async def f(x):\n    return x\n"), "async def f(x):\n    return x\n"),
    (
        "entry point under a condition",
        fence(f"if True:\n    f = 1\nelse:\n    {F}"),
        f"if True:\n    f = 1\nelse:\n    {F}",
    ),
]

USAGE = "print(f(1))\nprint(f(2))\nprint(f(3))\nprint(f(4))\n"
HELPER = "def helper(x):\n    return x\n"
MAIN = "def f(x):\n    return helper(x)\n"

SEVERAL = [
    ("a longer usage example after", fence(F) + "Usage:\n" + fence(USAGE), F),
    ("a usage example before", fence(USAGE) + fence(F), F),
    ("a draft, then its correction", fence(DRAFT) + "Wait, add one:\n" + fence(F), F),
    ("a correction that does not parse", fence(F) + fence(BROKEN), F),
    ("a draft that does not parse, then a usage example", fence(BROKEN) + fence(USAGE), BROKEN),
    ("tests after", fence(F) + fence("def test_f():\n    assert f(1) == 2\n"), F),
    ("tests after that import the entry point", fence(F) + fence("from a import f\n\nassert f(1) == 2\n"), F),
    ("the entry point assigned in the usage", fence(F) + fence("f = f(1)\n"), F),
    ("a stub after", fence(F) + fence("def f(x):\n    '''Add.'''\n    raise NotImplementedError\n"), F),
    ("an excerpt after", fence(F) + fence("def f(x):\n    ...\n    return x + 1\n"), F),
    ("a stub before a broken solution", fence("def f(x):\n    pass\n") + fence(BROKEN), BROKEN),
    (
        "nothing but a stub",
        fence("def f(x):\n    raise NotImplementedError('x')\n"),
        "def f(x):\n    raise NotImplementedError('x')\n",
    ),
    (
        "a solution that only refuses",
        fence(DRAFT) + fence("def f(x):\n    raise ValueError\n"),
        "def f(x):\n    raise ValueError\n",
    ),
    ("helper, then entry point", fence(HELPER) + "and\n" + fence(MAIN), f"{HELPER}\n\n{MAIN}"),
    ("entry point, then helper", fence(MAIN) + "where\n" + fence(HELPER), f"{HELPER}\n\n{MAIN}"),
    (
        "helpers of helpers",
        fence("import math\n") + fence("def helper(x):\n    return math.pi\n") + fence(MAIN),
        f"import math\n\n\ndef helper(x):\n    return math.pi\n\n\n{MAIN}",
    ),
    ("a helper that nobody needs", fence(HELPER) + fence(F), F),
    ("a helper that is there already", fence(HELPER) + fence(f"{HELPER}\n{MAIN}"), f"{HELPER}\n{MAIN}"),
    (
        "a helper's correction",
        fence("def helper(x):\n    return 0\n") + fence(HELPER) + fence(MAIN),
        f"{HELPER}\n\n{MAIN}",
    ),
    ("a helper in the draft", fence(f"{HELPER}\n{DRAFT}") + fence(MAIN), f"{HELPER}\n{DRAFT}\n\n{MAIN}"),
    (
        "a helper that tests import",
        fence(HELPER) + fence(MAIN) + fence("from a import helper\n"),
        f"{HELPER}\n\n{MAIN}",
    ),
    (
        "a value that needs the entry point",
        fence("def f(x):\n    return x + ONE\n") + fence("ONE = 1\nf(ONE)\n"),
        "def f(x):\n    return x + ONE\n\n\nONE = 1\nf(ONE)\n",
    ),
    (
        "names that only seem to need others",
        fence("y = 1\nE = 2\nimport a\n")
        + fence(
            "def f(x):\n    import a\n    try:\n        y = x\n    except a.B as E:\n        return E\n    return y\n"
        ),
        "def f(x):\n    import a\n    try:\n        y = x\n    except a.B as E:\n        return E\n    return y\n",
    ),
    (
        "a helper before future imports",
        fence(HELPER) + fence(f"from __future__ import annotations\n\n{MAIN}"),
        f"from __future__ import annotations\n{HELPER}\n\n\n{MAIN}",
    ),
    ("an entry point that does not parse needs nobody", fence(HELPER) + fence(BROKEN), BROKEN),
    ("lambda, then its usage", fence("f = lambda x: x + 1\n") + fence(USAGE), "f = lambda x: x + 1\n"),
    ("shell, then code", fence("pip install numpy\n", "bash") + fence(F), F),
    ("code, then output", fence(F) + fence("2\n3\n", "text") + fence('{"f": 1}\n', "json"), F),
    ("code, then output without language", fence(F) + fence("[1, 2]\n", ""), F),
    ("the only code is called text", fence(F, "text"), F),
    ("another language that defines f", fence("function f(x) { return x }\n", "js") + fence(F), F),
    ("wrong name, then its usage", fence("def g(x):\n    return x\n") + fence("g(1)\n"), "def g(x):\n    return x\n"),
    (
        "wrong name that does not parse, then its usage",
        fence("def g(x:\n    return x\n") + fence("g(1)\n"),
        "def g(x:\n    return x\n",
    ),
    ("nothing but usage", fence(USAGE), USAGE),
    ("the entry point is not in a fence", f"{F}\nUsage:\n\n{fence(USAGE)}", F),
]

UNCLOSED = [
    ("unclosed", f"Here:\n```python\n{F}", F),
    ("unclosed, prose after", f"```python\n{F}\nThis adds one.\nIt's simple (really", F),
    ("unclosed, a word after", f"```python\n{F}\nExplanation\n\nThis adds one.", F),
    ("unclosed, cut in a later function", f"```python\n{F}\n@cache\ndef g(x):\n    return (x", F),
    ("unclosed, cut in an else", f"```python\n{F}\nif f(1):\n    pass\nelse:\n    f(", F),
    (
        "unclosed, cut in the entry point",
        "```python\nimport math\n\ndef f(x):\n    return math.sqrt(x",
        "import math\n\ndef f(x):\n    return math.sqrt(x\n",
    ),
    ("unclosed, cut in a string", f'```python\n{F}\nX = """a\nb', F),
    ("unclosed and without any code line that parses", "```python\ndef f(x:\n", "def f(x:\n"),
    ("unclosed, then another fence", f"```python\n{DRAFT}\nBetter:\n```python\n{F}```", F),
    ("unclosed, then a usage example", f"```python\n{F}\nUse it so:\n```python\n{USAGE}```", F),
    ("closed by other characters", f"```python\n{F}'''\nIt adds one.", F),
    ("only the end of the fence", f"{F}```\n\nThis function adds one.", F),
]

BARE = [
    ("bare", F, F),
    ("bare, prose before and after", f"Here is the function:\n\n{F}\nIt adds one, doesn't it?", F),
    ("bare, prose of one word after", f"{F}\nDone", F),
    ("bare, prose that parses after", f"{F}\nComplexity: O(n)\nOutput: x", F),
    ("bare, marker of a recipe around", f"[BEGIN]\n{F}[DONE]", F),
    ("bare, marker before", f"[PYTHON]\n@cache\n{F}[/PYTHON]", f"@cache\n{F}"),
    ("bare, comment before", f"# Answer\n{F}", f"# Answer\n{F}"),
    ("bare, usage after", f"{F}\nprint(f(1))\n\nThis prints 2.", f"{F}\nprint(f(1))\n"),
    (
        "bare, prose between the parts",
        f"Import this:\n\nimport math\n\nThen define it:\n\n{F.replace('1', 'math.pi')}",
        f"import math\n\n\n{F.replace('1', 'math.pi')}",
    ),
    ("bare, decorated", f"So:\n@cache\n@wraps(f)\n{F}\nThat is it.", f"@cache\n@wraps(f)\n{F}"),
    ("bare, decorated and broken", f"So:\n@cache\n{BROKEN}", f"@cache\n{BROKEN}"),
    ("bare and broken", f"So:\n{BROKEN}\nDone.", f"{BROKEN}\nDone.\n"),
    ("bare, a broken draft before", f"So:\n{BROKEN}\nNo:\n{F}\nYes.", F),
    ("bare and indented, prose around", "So:\n\n    def f(x):\n        return x + 1\n\nIt adds one.", F),
    ("bare, an assignment in prose before", f"x = 1 makes it 2.\n\n{F}\nDone.", F),
    ("bare, an assigned lambda", "The answer is\n\nf = lambda x: x + 1\n\nas you wished.", "f = lambda x: x + 1\n"),
    ("bare body", "    y = x\n    return y\n", "y = x\nreturn y\n"),
    ("bare script", "for i in range(3):\n    print(i)\n", "for i in range(3):\n    print(i)\n"),
]

THINKING = [
    ("think", f"<think>\nMaybe {fence(DRAFT)}\n</think>\n\n{FENCED}", F),
    ("thinking, one line", f"<thinking>Hm.</thinking>{FENCED}", F),
    ("only the end", f"Maybe\n{fence(DRAFT)}\n</think>\n{FENCED}", F),
    ("text before the thinking", f"{FENCED}\n<think>\nor {fence(DRAFT)}\n</think>\n", F),
    ("code before thinking that never ends", f"{FENCED}\n<think>\nor {fence(DRAFT)}", F),
    ("thinking about thinking", f"<think>\n<think>\n{fence(DRAFT)}</think>\n{FENCED}", F),
    ("two thoughts", f"<think>\n{fence(DRAFT)}</think>\nso\n<think>\n{fence(DRAFT)}</think>\n{FENCED}", F),
    ("thinking that goes straight into the answer", f"<think>\n{fence(DRAFT)}\n<answer>\n{FENCED}\n</answer>", F),
    ("an answer's mark without thinking", f"<answer>\n{F}</answer>", F),
    (
        "begin_of_thought",
        f"<|begin_of_thought|>\n{fence(DRAFT)}<|end_of_thought|>\n\n<|begin_of_solution|>\n{FENCED}\n<|end_of_solution|>",
        F,
    ),
    ("[THINK]", f"[THINK]{fence(DRAFT)}[/THINK]{FENCED}", F),
    ("reasoning", f"<reasoning>\n{fence(DRAFT)}</reasoning>\n{FENCED}", F),
    ("seed:think", f"<seed:think>\n{fence(DRAFT)}</seed:think>{FENCED}", F),
    ("START_THINKING", f"<|START_THINKING|>{DRAFT}<|END_THINKING|><|START_RESPONSE|>{FENCED}<|END_RESPONSE|>", F),
    (
        "channels",
        f"<|start|>assistant<|channel|>analysis<|message|>{FENCED}<|end|><|start|>assistant<|channel|>final<|message|>{F}<|return|>",
        F,
    ),
    (
        "thinking's tags in code",
        fence('def f(x):\n    return x.replace("<think>", "").replace("</think>", "")\n'),
        'def f(x):\n    return x.replace("<think>", "").replace("</think>", "")\n',
    ),
]

LEFTOVERS = [
    ("im_end", f"{F.rstrip()}<|im_end|>", F),
    ("im_start and im_end", f"<|im_start|>assistant\n{F}<|im_end|>\n<|im_start|>user\nThanks", F),
    ("eot_id after the fence", f"{FENCED}<|eot_id|>", F),
    ("headers", f"<|start_header_id|>assistant<|end_header_id|>\n\n{F}<|eot_id|>", F),
    ("endoftext and another turn", f"{FENCED}\n<|endoftext|>Human: and g?\n{fence(DRAFT)}", F),
    ("</s>", f"<s>{F.rstrip()}</s>", F),
    ("</s> and another turn", f"{F}</s><s>[INST] and g? [/INST]\n{DRAFT}", F),
    ("end_of_turn", f"{FENCED}<end_of_turn>", F),
    ("end of sentence", f"{F.rstrip()}<\uff5cend\u2581of\u2581sentence\uff5c>", F),
    ("</s> in code", fence("def f(x):\n    return '<s>' + x + '</s>'\n"), "def f(x):\n    return '<s>' + x + '</s>'\n"),
    ("byte order mark", f"\ufeff{F}", F),
    ("byte order mark before the fence", f"\ufeff{FENCED}", F),
    ("zero-width space before the fence's end", f"```python\n{F}\u200b```\nDone.", F),
    ("zero-width space in the code", fence(F.replace("def f", "def \u200bf")), F),
    ("zero-width joiner in a string", fence("f = '\u200d'\n"), "f = '\u200d'\n"),
    ("non-breaking spaces", fence(F.replace("    ", "\xa0\xa0\xa0\xa0")), F),
    (
        "transcript",
        fence(">>> def f(x):\n...     return x + 1\n...\n>>> f(1)\n2\n"),
        "def f(x):\n    return x + 1\n\nf(1)\n",
    ),
    (
        "doctest in valid code",
        fence("def f(x):\n    '''\n    >>> f(1)\n    '''\n"),
        "def f(x):\n    '''\n    >>> f(1)\n    '''\n",
    ),
    ("line numbers", fence("1  def f(x):\n2      return x + 1\n"), F),
    ("line numbers with dots", fence("1. def f(x):\n2.\n3.     return x + 1\n"), "def f(x):\n\n    return x + 1\n"),
    ("JSON", json.dumps({"explanation": "Adds.", "code": F}), F),
    ("JSON in a fence", f"```json\n{json.dumps({'solution': F})}\n```", F),
    ("JSON with a fence in it", json.dumps({"code": FENCED}), F),
    ("JSON with raw line feeds", '{"code": "' + F + '"}', F),
    ("dict that is no JSON", f"{{1: 2}}\n{F}", f"{{1: 2}}\n{F}"),
    ("JSON without code", '{"a": 1}\n', None),
]

NO_CODE = [
    ("empty", ""),
    ("whitespace", " \n\t\n"),
    ("a refusal", "I'm sorry, but I can't help with that."),
    ("a word that parses", "Sorry"),
    ("words that parse", "not possible"),
    ("a label", "Answer: none"),
    ("a keyword", "pass"),
    ("a value", "42"),
    ("inline code", "Use `def f(x): return x` for it, or ```f(x)```."),
    ("prose about imports", "import the module first, from there it is easy.\nx == 1 holds."),
    ("an empty fence", "```python\n```"),
    ("a comment in a fence", "```python\n# your code here\n```"),
    ("shell in a fence", "```bash\npip install numpy\n```"),
    ("shell in a Python fence", "```python\npip install numpy\n```"),
    ("shell without language", "```\npip install numpy\n```"),
    ("output in a fence", "```\n[1, 2]\n```"),
    ("a call without language", "```\nf(1)\n```"),
    ("another language", "```java\nint f(int x) { return x; }\n```"),
    ("an unclosed fence with nothing", "```python"),
    ("code that never left its thinking", f"<think>\nMaybe {FENCED}\nor not"),
    ("thinking and nothing else", f"<think>\n{FENCED}\n</think>\n"),
    ("a template's end", "<|im_end|>"),
    ("JSON of another kind", '{"code": 1}'),
    ("a list in JSON", "[" * 2000),
    ("an endless object in JSON", '{"a":' * 100_000),
]

SHAPES = [*FENCES, *SEVERAL, *UNCLOSED, *BARE, *THINKING, *LEFTOVERS, *((name, text, None) for name, text in NO_CODE)]


@pytest.mark.parametrize(("text", "expected"), [pytest.param(text, code, id=name) for name, text, code in SHAPES])
def test_an_answer_gives_this_solution(text: str, expected: str | None) -> None:
    assert extract(text, entry_point="f", preamble="") == expected


NO_ENTRY_POINT = [
    ("the last block that defines something", fence("def g():\n    return 1\n") + fence(F) + fence(USAGE), F),
    ("not the tests", fence(F) + fence("class TestF:\n    x = 1\n\n\ndef test_f():\n    assert f(1) == 2\n"), F),
    (
        "with what it needs",
        fence(F) + fence("def main():\n    print(f(1))\n"),
        f"{F}\n\ndef main():\n    print(f(1))\n",
    ),
    ("unclosed with prose after", f"```python\n{F}\nIt adds (one.", F),
    ("unclosed without definition", "```python\nx = 1\nx = (", "x = 1\nx = (\n"),
    ("not parsing", fence(BROKEN) + fence(USAGE), BROKEN),
    ("nothing but statements", fence("x = 1\n"), "x = 1\n"),
    ("bare", f"Here:\n\n{F}\nDone.", F),
    ("no code", "Sorry", None),
]


@pytest.mark.parametrize(
    ("text", "expected"), [pytest.param(text, code, id=name) for name, text, code in NO_ENTRY_POINT]
)
def test_an_answer_without_entry_point_gives_this_solution(text: str, expected: str | None) -> None:
    assert extract(text, entry_point="", preamble="") == expected


LIST = "from typing import List\n\n\n"
G = "def g(x):\n    return x\n"
PREAMBLES = [
    ("an import it lacks", LIST, F, f"from typing import List\n\n\n{F}"),
    ("an import it has", LIST, f"from typing import List\n{F}", f"from typing import List\n{F}"),
    (
        "an import it has among others",
        LIST,
        f"from typing import Dict, List\n{F}",
        f"from typing import Dict, List\n{F}",
    ),
    (
        "an import it has under a condition",
        LIST,
        f"try:\n    from typing import List\nexcept ImportError:\n    List = list\n{F}",
        f"try:\n    from typing import List\nexcept ImportError:\n    List = list\n{F}",
    ),
    (
        "an import that it has within a function only",
        "import math\n",
        "def f(x):\n    import math\n    return x\n",
        "import math\n\n\ndef f(x):\n    import math\n    return x\n",
    ),
    (
        "one of two names",
        "from typing import List, Tuple\n",
        f"from typing import List\n{F}",
        f"from typing import List, Tuple\n\n\nfrom typing import List\n{F}",
    ),
    (
        "an import under another name",
        "import numpy as np\n",
        f"import numpy\n{F}",
        f"import numpy as np\n\n\nimport numpy\n{F}",
    ),
    (
        "all of a module",
        "from typing import *\n",
        f"from math import *\n{F}",
        f"from typing import *\n\n\nfrom math import *\n{F}",
    ),
    ("all of the same module", "from math import *\n", f"from math import *\n{F}", f"from math import *\n{F}"),
    ("a helper it lacks", f"\n\n{G}\n\n", F, f"{G}\n\n{F}"),
    ("a helper of its own", f"\n\n{G}\n\n", f"def g(x):\n    return 2\n\n{F}", f"def g(x):\n    return 2\n\n{F}"),
    ("a helper of its own that is assigned", G, f"g = max\n{F}", f"g = max\n{F}"),
    ("only the helper", f"import math\n\n\n@cache\n{G}", f"import math\n{F}", f"@cache\n{G}\n\nimport math\n{F}"),
    (
        "what a part it lacks needs",
        f"{G}\nH = 1\n\nN = g(1)\n",
        f"def g(x):\n    return 2\n\n\nH = 2\n{F}",
        f"{G}N = g(1)\n\n\ndef g(x):\n    return 2\n\n\nH = 2\n{F}",
    ),
    ("a value", '\nFIX = """\nAdd more.\n"""\n\n', F, f'FIX = """\nAdd more.\n"""\n\n\n{F}'),
    ("two on one line", "import re; import os\n", F, f"import re; import os\n\n\n{F}"),
    ("CRLF", "import re\r\n\r\n", F, f"import re\n\n\n{F}"),
    ("nothing that binds", '"""Text."""\nprint(1)\n', F, F),
    ("blank", "\n\n", F, F),
    ("comments", "# Text\n", F, F),
    ("a preamble that does not parse", "@cache\n", F, F),
    ("a solution that does not parse", f"{LIST}# helpers\n{G}", BROKEN, f"{LIST}# helpers\n{G}\n\n{BROKEN}"),
    (
        "future imports of the solution",
        LIST,
        f'"""Doc."""\nfrom __future__ import annotations\n{F}',
        f'"""Doc."""\nfrom __future__ import annotations\nfrom typing import List\n\n\n{F}',
    ),
    (
        "a future import and more on a line",
        LIST,
        f"from __future__ import annotations; X = [\n    1]\n{F}",
        f"from __future__ import annotations; X = [\n    1]\nfrom typing import List\n\n\n{F}",
    ),
    (
        "future imports of the preamble",
        "from __future__ import annotations\nimport re\n",
        F,
        f"from __future__ import annotations\nimport re\n\n\n{F}",
    ),
]


@pytest.mark.parametrize(
    ("preamble", "code", "expected"),
    [pytest.param(preamble, code, expected, id=name) for name, preamble, code, expected in PREAMBLES],
)
def test_a_solution_gets_what_it_lacks_of_the_preamble(preamble: str, code: str, expected: str) -> None:
    assert extract(fence(code), entry_point="f", preamble=preamble) == expected


def test_a_name_of_the_preamble_is_not_taken_from_another_block() -> None:
    text = fence(f"from typing import List\n\n\n{DRAFT.replace('return x', 'pass')}") + fence(
        "def f(x: List):\n    return x\n"
    )
    assert (
        extract(text, entry_point="f", preamble=LIST) == "from typing import List\n\n\ndef f(x: List):\n    return x\n"
    )


def test_only_so_much_of_an_endless_answer_is_read() -> None:
    text = f"{F}x = 1\n" + "# and\n" * READ
    solution = extract(text, entry_point="f", preamble="")
    assert solution is not None
    assert READ - 10 < len(solution) <= READ + 1
    assert solution.startswith(F)


def test_the_end_of_very_long_code_is_not_looked_for_without_end() -> None:
    """Three errors, found one by one, stand between the text and the part that parses."""
    code = f"{F}class A:\nfoo bar\n'\n"
    assert extract(f"```python\n{code}", entry_point="f", preamble="") == F
    endless = code + "# and\n" * (READ // 7)
    assert extract(f"```python\n{endless}", entry_point="f", preamble="") == endless


def test_reasoning_of_any_length_is_read() -> None:
    text = "<think>\n" + "Hm. " * READ + "\n</think>\n" + FENCED
    assert extract(text, entry_point="f", preamble="") == F


def test_parsing_leaves_the_warning_filters_of_others_in_force() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert (
            extract(fence("def f(x):\n    return '\\d' if x is 1 else 2\n"), entry_point="f", preamble="") is not None
        )
        with pytest.raises(SyntaxError):
            compile("'\\d'", "a.py", "exec")


ENDLESS = {
    "backticks": "`" * 1_000_000,
    "fences": "```\n" * 250_000,
    "tags": "<think>" * 140_000,
    "tokens": "<|a|>" * 200_000,
    "spaces": " " * 1_000_000,
    "parentheses": "def f():\n    return " + "(" * 1_000_000,
    "sums": "f = 1" + "+1" * 500_000,
    "decorators": "@a\n" * 333_000,
    "quotes": "def f():\n    return 1\nHere's it (is\n" * 25_000,
    "strings": 'x = 1\n"""\n' * 100_000,
    "annotation": "a:" + " " * 1_000_000,
    "objects": '{"a":' * 200_000,
    "transcript": ">>> x = 1\n" * 100_000,
    "chain": "".join(f"```py\ndef f{i}(): return f{i + 1}\n```\n" for i in range(30_000)),
}


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in ENDLESS.items()])
def test_a_megabyte_of_anything_is_read_in_seconds(text: str) -> None:
    started = time.process_time()
    extract(text, entry_point="f", preamble=LIST)
    # Half a second, and several times that where coverage is measured; squares of the length would be minutes.
    assert time.process_time() - started < 5


PIECES = st.sampled_from(
    [
        "```",
        "```python\n",
        "~~~",
        "<think>\n",
        "</think>",
        "def f(x):",
        "    return x",
        "\n",
        "import a",
        ">>> ",
        "'''",
        "(",
        ":",
        "=",
        "\\",
        "@a\n",
        "{",
        '"',
        "<|im_end|>",
        "\0",
        "\ud800",
        "\ufeff",
        "1 ",
        "# ",
        "\r",
        "\t",
    ]
)
TEXTS = st.lists(PIECES | st.text(max_size=3), max_size=30).map("".join)


@given(
    text=TEXTS,
    entry_point=st.sampled_from(["f", "", "a.b(", "x"]),
    preamble=st.sampled_from(["", LIST, G, "@a", "\0", "("]),
)
@settings(max_examples=100, deadline=None)
def test_any_text_gives_none_or_code(text: str, entry_point: str, preamble: str) -> None:
    solution = extract(text, entry_point=entry_point, preamble=preamble)
    assert solution is None or solution.strip()
    assert solution == extract(text, entry_point=entry_point, preamble=preamble)


NAMES = st.sampled_from(["f", "g", "value", "n"])
STATEMENTS = st.one_of(
    st.builds("{} = {!r}".format, NAMES, st.text() | st.integers() | st.lists(st.booleans())),
    st.builds("def {}(x):\n    '''{}'''\n    return {}".format, NAMES, st.text("abc >.\n", max_size=9), st.integers()),
    st.builds("class {}:\n    x = {}".format, NAMES, st.integers()),
    st.builds("import {}".format, NAMES),
)
LABELS = st.sampled_from(["```python", "```", "~~~py", "````python3", "Answer: ```python"])


@given(statements=st.lists(STATEMENTS, max_size=4), label=LABELS)
@settings(max_examples=100, deadline=None)
def test_a_program_in_a_fence_comes_back_as_it_was(statements: list[str], label: str) -> None:
    program = "\n\n".join([*statements, F])
    mark = label.removeprefix("Answer: ").rstrip("python3")
    assert extract(f"Sure:\n\n{label}\n{program}{mark}\n\nThat is it.", entry_point="f", preamble="") == program


def references() -> list[tuple[str, str, str, str]]:
    """Task id, entry point, preamble and reference of HumanEval's and MBPP's tasks."""
    with gzip.open(DATA / "HumanEval.jsonl.gz", "rt") as lines:
        rows = [json.loads(line) for line in lines]
    found = [
        (
            row["task_id"],
            row["entry_point"],
            row["prompt"][: row["prompt"].rindex(f"def {row['entry_point']}(")],
            row["prompt"] + row["canonical_solution"],
        )
        for row in rows
    ]
    for line in (DATA / "mbpp.jsonl").read_text().splitlines():
        row = json.loads(line)
        last = [node.name for node in ast.parse(row["code"]).body if isinstance(node, ast.FunctionDef)][-1]
        found.append((f"Mbpp/{row['task_id']}", last, "", row["code"]))
    return found


@pytest.mark.filterwarnings("ignore:.*invalid escape")
@pytest.mark.skipif(not DATA.is_dir(), reason="data: no ../shared/data beside the checkout")
@pytest.mark.parametrize(
    "shape",
    [
        "Certainly! Here's the function:\n\n```python\n{}\n```\n\nIt's tested with:\n\n```python\nassert f(1)\n```\n",
        "Here's the function:\n```\n{}\n\n",
        "{}",
        "Here's the function you've asked for:\n\n{}\n\nIt works (I hope) as you've asked.",
    ],
    ids=["fenced", "unclosed", "bare", "bare with prose"],
)
def test_every_reference_is_found_in_an_answer(shape: str) -> None:
    for task_id, entry_point, preamble, reference in references():
        solution = extract(shape.format(reference), entry_point=entry_point, preamble=preamble)
        assert solution == reference.replace("\r\n", "\n").strip("\n").rstrip() + "\n", task_id


@pytest.mark.filterwarnings("ignore:.*invalid escape")
@pytest.mark.skipif(not DATA.is_dir(), reason="data: no ../shared/data beside the checkout")
def test_every_function_alone_is_completed_with_the_preamble() -> None:
    for task_id, entry_point, preamble, reference in references():
        alone = reference[len(preamble) :]
        solution = extract(f"Sure:\n\n{fence(alone)}", entry_point=entry_point, preamble=preamble)
        assert solution is not None
        names = {node.name for node in ast.walk(ast.parse(solution)) if isinstance(node, ast.FunctionDef)}
        wanted = {node.name for node in ast.walk(ast.parse(reference)) if isinstance(node, ast.FunctionDef)}
        assert wanted == names, task_id
        namespace: dict[str, object] = {"__name__": "solution"}
        exec(compile(solution, task_id, "exec"), namespace)
        assert entry_point in namespace, task_id
