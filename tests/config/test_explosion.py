"""What templates and matrices would multiply without bounds is refused, and nothing of it is built."""

from __future__ import annotations

import pytest

from tests.config.texts import load_text


@pytest.mark.parametrize(
    ("text", "code"),
    [
        pytest.param(
            "jobs: {j: {run: x, matrix: {" + ", ".join(f"a{n}: [1,2,3,4,5,6,7,8,9]" for n in range(40)) + "}}}", "E410",
            id="product",
        ),
        pytest.param(f"jobs: {{j: {{run: x, matrix: {{a: {list(range(1001))}}}}}}}", "E410", id="one axis"),
        pytest.param(
            "templates: {t: {run: x, matrix: {a: " + str(list(range(1000))) + "}}}\njobs: {"
            + ", ".join(f"j{n}: {{extends: t}}" for n in range(21)) + "}",
            "E410",
            id="through a template",
        ),
        pytest.param(
            "templates: {t: {params: {"
            + ", ".join(f"v{n}: {{default: '{f'${{{{ v{n - 1} }}}}' * 9 if n else 'x'}'}}" for n in range(30))
            + "}, run: [x, '${{ v29 }}']}}\njobs: {j: {extends: t}}",
            "E412",
            id="text",
        ),
        pytest.param(
            "templates: {t: {run: x, env: {" + ", ".join(f"E{n}: a" for n in range(3000)) + "}}}\njobs:\n"
            f"  j: {{extends: t, matrix: {{a: {list(range(1000))}}}}}\n",
            "E412",
            id="values",
        ),
        pytest.param(
            "templates: {" + ", ".join(f"t{n}: {{extends: t{n + 1}}}" for n in range(50))
            + ", t50: {run: x}}\njobs: {j: {extends: t0}}",
            "E412",
            id="depth",
        ),
        pytest.param(
            "templates: {t0: {run: x}, "
            + ", ".join(f"t{n}: {{extends: [t{n - 1}, t{n - 1}]}}" for n in range(1, 18))
            + "}\njobs: {j: {extends: t17}}",
            "",
            id="diamonds are harmless",
        ),
        pytest.param(
            "jobs: {j: {run: x, matrix: {a: " + str(list(range(1000))) + "}}, "
            "k: {run: x, depends_on: [j], matrix: {a: " + str(list(range(1000))) + "}}}",
            "E414",
            id="edges",
        ),
        pytest.param(
            "jobs: {j: {run: x, matrix: {a: " + str(list(range(1000))) + ", include: "
            + str([{"b": n} for n in range(600)]).replace("'", "") + "}}}",
            "E410",
            id="comparisons",
        ),
    ],
)  # fmt: skip
def test_explosion_is_refused_before_it_is_built(text, code):
    assert sorted({problem.code for problem in load_text(text).problems}) == [code] * bool(code)
