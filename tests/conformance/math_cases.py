"""Writes gold answers with answers that equal them or do not, as JSON lines, all of them made by rules from a seed.

Run: python math_cases.py SEED COUNT > cases.jsonl
"""
import json
import math
import random
import sys
from fractions import Fraction

SEED, COUNT = int(sys.argv[1]), int(sys.argv[2])
R = random.Random(SEED)
PROSE = [
    "We get $%s$ after a few steps, having started from 17 and 3. So the final answer is \\boxed{%%s}.",
    "Step 1: take 12. Step 2: add $%s$.\n\nThe answer is: \\boxed{%%s}",
    "<think>Perhaps 99, or \\boxed{98}? No.</think>\nFrom $n = %s$ it follows.\n\\[\n\\boxed{%%s}\n\\]",
    "**Answer:** $%%s$",
    "Counting all %s of them gives the final answer: $%%s$.",
]


def respond(answer):
    frame = R.choice(PROSE)
    frame = frame % R.randint(2, 90) if frame.count("%s") > frame.count("%%s") else frame
    return frame.replace("%%s", "%s") % answer


def frac(value, style=None):
    """A fraction in LaTeX or plain."""
    value = Fraction(value)
    sign, n, d = "-" if value < 0 else "", abs(value.numerator), value.denominator
    if d == 1:
        return f"{sign}{n}"
    style = style or R.choice(["frac", "dfrac", "tfrac", "slash", "inside"])
    if style == "slash":
        return f"{sign}{n}/{d}"
    if style == "inside":
        return f"\\frac{{{sign}{n}}}{{{d}}}"
    return f"{sign}\\{style}{{{n}}}{{{d}}}"


def small(low=-30, high=30):
    return Fraction(R.randint(low, high), R.choice([1, 1, 2, 3, 4, 5, 7, 9, 12]))


def other(value):
    """A near value that is another one."""
    value = Fraction(value)
    choices = [value + 1, -value, value * 10, value * 100, value + Fraction(1, value.denominator), value / 2, 1 / value if value else 1]
    return R.choice([choice for choice in choices if choice != value])


def integer():
    n = R.choice([R.randint(-50, -1), R.randint(1, 50), R.randint(1000, 10**7), R.randint(10**12, 10**30)])
    grouped = f"{n:,}"
    same = [str(n), f"{n}.0", grouped.replace(",", "{,}"), grouped.replace(",", ",\\!"), f"+{n}" if n >= 0 else str(n), f"x = {n}",
            f"\\text{{{n}}}", f"\\mathbf{{{n}}}", f"{{{n}}}", f"\\left({n}\\right)", f"{n}.", f"\\${n}" if n > 0 else str(n)]
    return str(n), same, [str(n + R.choice([-1, 1, 10])), str(n * 10), f"{n}.5", f"{n} or {n + 1}", f"{n},{n + 1}", f"{n}\\pi"]


def rational():
    q = small()
    while q.denominator == 1:
        q = small()
    k = R.randint(2, 9)
    whole, rest = divmod(abs(q), 1)
    sign = "-" if q < 0 else ""
    same = [frac(q) for _ in range(3)] + [f"\\frac{{{q.numerator * k}}}{{{q.denominator * k}}}", f"({q.numerator})/({q.denominator})"]
    if whole:
        same.append(f"{sign}{whole}\\frac{{{rest.numerator}}}{{{rest.denominator}}}")
        same.append(f"{sign}{whole} {rest.numerator}/{rest.denominator}")
    if q.denominator in (2, 4, 5):
        same.append(str(float(q)))
        same.append(f"{float(q * 100)}\\%")
    return frac(q), same, [frac(other(q)) for _ in range(4)] + [f"{float(q):.1f}7"]


def radical():
    a, b, c = R.randint(1, 9), R.choice([2, 3, 5, 6, 7, 10]), small(1, 9)
    gold = f"{frac(c, 'frac')} + {a}\\sqrt{{{b}}}"
    same = [f"{a}\\sqrt{b} + {frac(c)}" if b < 10 else f"{a}\\sqrt{{{b}}} + {frac(c)}", f"{frac(c)}+\\sqrt{{{a * a * b}}}",
            f"{frac(c)} + {a} \\cdot {b}^{{1/2}}", f"{frac(c)} + \\frac{{{a * b}}}{{\\sqrt{{{b}}}}}", f"{frac(c)}+{a}√{b}",
            f"{frac(c)} + {a}*sqrt({b})"]
    return gold, same, [f"{frac(c)} - {a}\\sqrt{{{b}}}", f"{frac(other(c))} + {a}\\sqrt{{{b}}}", f"{frac(c)} + {a}\\sqrt{{{b + 1}}}", f"{frac(c)} + {a}\\sqrt[3]{{{b}}}"]


def of_pi():
    q = abs(small()) or Fraction(1, 3)
    n, d = q.numerator, q.denominator
    gold = f"\\frac{{{n}\\pi}}{{{d}}}" if d > 1 else f"{n}\\pi"
    same = [f"{frac(q)}\\pi", f"{n}\\pi/{d}", f"\\pi \\cdot {frac(q)}", f"{n}π/{d}", f"\\frac{{{n}}}{{{d}}} \\pi", f"{n}*pi/{d}"]
    return gold, same, [f"{frac(other(q))}\\pi", frac(q), f"\\frac{{{n}}}{{{d}\\pi}}", f"{float(q) * 3.14:.4f}"]


def tuple_of():
    items = [small() for _ in range(R.choice([2, 3, 4]))]
    gold = "(" + ", ".join(frac(item, "frac") for item in items) + ")"
    inside = lambda joint: joint.join(frac(item) for item in items)
    turned = items[1:] + items[:1]
    same = [f"({inside(', ')})", f"\\left({inside(',')}\\right)", f"({inside(' , ')})", f"({inside(',~')})", "(" + inside(", \\ ") + ")"]
    wrong = ["(" + ", ".join(frac(item) for item in items[:-1]) + f", {frac(other(items[-1]))})", f"({inside(', ')}, 0)"]
    if turned != items:
        wrong.append("(" + ", ".join(frac(item) for item in turned) + ")")
    return gold, same, wrong


def set_of():
    items = list({small(-9, 9) for _ in range(4)})
    gold = "\\{" + ", ".join(frac(item, "frac") for item in items) + "\\}"
    R.shuffle(items)
    inside = ", ".join(frac(item) for item in items)
    values = " or ".join(f"x = {frac(item)}" for item in items)
    same = [f"\\{{{inside}\\}}", f"\\left\\{{{inside}\\right\\}}", inside, values, inside + ", " + frac(items[0])]
    fresh = next(n for n in range(20, 40) if n not in items)
    wrong = [f"\\{{{inside}, {fresh}\\}}", ", ".join(frac(item) for item in items[1:]) or "\\emptyset", f"\\{{{', '.join(frac(i) for i in items[1:] + [fresh])}\\}}"]
    return gold, same, wrong


def interval():
    a, b = sorted(R.sample(range(-20, 20), 2))
    left, right = R.choice("(["), R.choice(")]")
    gold = f"{left}{a},{b}{right}"
    less = {"(": "<", "[": "\\le", ")": "<", "]": "\\leq"}
    same = [f"\\left{left}{a}, {b}\\right{right}", f"{a} {less[left]} x {less[right]} {b}", f"x \\in {left}{a}, {b}{right}",
            f"{left}{a}.0, {Fraction(2 * b, 2)}{right}", f"{b} {'>' if right == ')' else '≥'} x {'>' if left == '(' else '≥'} {a}"]
    flipped = "[" if left == "(" else "("
    return gold, same, [f"{flipped}{a},{b}{right}", f"{left}{a},{b + 1}{right}", f"{left}-\\infty,{b}{right}", f"{b}"]


def union():
    a, b, c = sorted(R.sample(range(-20, 20), 3))
    gold = f"(-\\infty, {a}) \\cup [{b}, {c})"
    same = [f"(-\\infty,{a})\\cup[{b},{c})", f"[{b}, {c}) \\cup (-\\infty, {a})", f"x < {a} \\text{{ or }} {b} \\le x < {c}", f"(-∞, {a}) ∪ [{b}, {c})"]
    return gold, same, [f"(-\\infty, {a}] \\cup [{b}, {c})", f"(-\\infty, {a}) \\cup [{b}, {c}]", f"(-\\infty, {a})"]


def terms(coefficients):
    found = ""
    for power, coefficient in enumerate(coefficients[::-1]):
        power = len(coefficients) - 1 - power
        if coefficient:
            variable = "" if power == 0 else "x" if power == 1 else f"x^{power}" if R.random() < 0.5 else f"x^{{{power}}}"
            size = abs(coefficient)
            shown = variable if size == 1 and power else f"{size}{variable}"
            found += (" - " if coefficient < 0 else " + ") + shown
    return found[3:] if found.startswith(" + ") else found.replace(" - ", "-", 1)


def polynomial():
    p, q, r = (R.choice([n for n in range(-9, 10) if n]) for _ in range(3))
    # (x + p)(q x + r)
    gold = terms([p * r, p * q + r, q])
    plus = lambda n: f"+ {n}" if n > 0 else f"- {-n}"
    lead = {1: "x", -1: "-x"}.get(q, f"{q}x")
    same = [f"(x {plus(p)})({lead} {plus(r)})", f"({lead} {plus(r)})(x {plus(p)})", terms([p * r, p * q + r, q]),
            f"{lead}(x {plus(p)}) {plus(r)}(x {plus(p)})", f"y = {terms([p * r, p * q + r, q])}"]
    return gold, same, [terms([p * r + 1, p * q + r, q]), terms([p * r, p * q + r + 1, q]), f"(x {plus(-p)})({lead} {plus(r)})", terms([p * r, p * q + r, q]).replace("x", "y")]


def equation():
    m, b = R.choice([n for n in range(-9, 10) if n not in (-1, 0, 1)]), R.randint(1, 9)
    gold = f"y = {m}x + {b}"
    same = [f"y={m}x+{b}", f"y = {b} + {m}x", f"y - {b} = {m}x", f"{m}x - y + {b} = 0", f"2y = {2 * m}x + {2 * b}", f"{m}x + {b} = y"]
    return gold, same, [f"y = {m}x - {b}", f"y = {m + 1}x + {b}", f"x = {m}y + {b}", f"{m}x - y - {b} = 0"]


def complex_number():
    a, b = R.randint(-9, 9) or 4, R.choice([n for n in range(-9, 10) if n not in (-1, 0, 1)])
    sign, size = ("+", b) if b > 0 else ("-", -b)
    gold = f"{a} {sign} {size}i"
    same = [f"{a}{sign}{size}i", f"{b}i + {a}", f"{a} {sign} {size} \\cdot i", f"{a} {sign} {size} i", f"z = {a} {sign} {size}i", f"{a} {sign} {size}\\mathrm{{i}}"]
    return gold, same, [f"{a} {'-' if b > 0 else '+'} {size}i", f"{a} {sign} {size}", f"{b} + {a}i" if a != b else f"{a}", f"{a} {sign} {size + 1}i"]


def matrix():
    rows, columns = R.choice([(2, 1), (2, 2), (3, 1), (2, 3)])
    items = [[small(-9, 9) for _ in range(columns)] for _ in range(rows)]
    def show(items, kind, joint=" \\\\ "):
        return f"\\begin{{{kind}}} " + joint.join(" & ".join(frac(item) for item in row) for row in items) + f" \\end{{{kind}}}"
    changed = [row[:] for row in items]
    changed[0][0] = other(changed[0][0])
    same = [show(items, kind) for kind in ("pmatrix", "bmatrix")] + [show(items, "pmatrix", "\\\\\n"), "\\left( " + show(items, "matrix") + " \\right)"]
    return show(items, "pmatrix"), same, [show(changed, "pmatrix"), show(items + [items[0]], "pmatrix")]


def scientific():
    m, e = R.randint(101, 999), R.choice([e for e in range(-9, 13) if e])
    head = f"{m // 100}.{m % 100:02d}"
    value = Fraction(m, 100) * Fraction(10) ** e
    gold = f"{head} \\times 10^{{{e}}}"
    same = [f"{head} \\cdot 10^{{{e}}}", f"{head}\\times10^{{{e}}}", f"{head}e{e}", f"{head}E{e}", f"{m} \\times 10^{{{e - 2}}}", f"{head} × 10^{e}"]
    if 2 <= e <= 8:
        same.append(str(int(value)))
    return gold, same, [f"{head} \\times 10^{{{e + 1}}}", head, f"{head} \\times 10^{{{-e}}}", f"{m + 1} \\times 10^{{{e - 2}}}"]


def logarithm():
    a, b = R.choice([2, 3, 5, 7]), R.choice([6, 10, 11, 13])
    k = R.randint(2, 5)
    gold = f"\\log_{{{a}}} {b}"
    same = [f"\\log_{a}({b})", f"\\frac{{\\ln {b}}}{{\\ln {a}}}", f"\\log_{{{a}}}{{{b}}}", f"\\frac{{1}}{{\\log_{{{b}}} {a}}}", f"\\frac{{1}}{{{k}}}\\log_{a} {b ** k}"]
    return gold, same, [f"\\log_{{{b}}} {a}", f"\\log_{{{a}}} {b + 1}", f"\\ln {b}", f"{k}\\log_{a} {b}"]


def power():
    b, e, k = R.choice([2, 3, 5, 7]), R.randint(20, 300), R.randint(1, 5)
    gold = f"{b}^{{{e}}}"
    same = [f"{b}^{{{e - k}}} \\cdot {b ** k}", f"{b ** 2}^{{{Fraction(e, 2)}}}" if e % 2 == 0 else f"{b} \\cdot {b ** 2}^{{{e // 2}}}", f"{b}**{e}", f"\\frac{{{b}^{{{e + k}}}}}{{{b ** k}}}"]
    return gold, same, [f"{b}^{{{e + 1}}}", f"{b + 1}^{{{e}}}", f"{b}^{{{e}}} + 1", f"{e}^{{{b}}}"]


def binomial():
    n = R.randint(6, 30)
    k = R.randint(2, n - 2)
    value = math.comb(n, k)
    gold = R.choice([str(value), f"\\binom{{{n}}}{{{k}}}"])
    same = [str(value), f"\\binom{{{n}}}{{{n - k}}}", f"{{{n} \\choose {k}}}", f"\\frac{{{n}!}}{{{k}! \\cdot {n - k}!}}",
            f"\\frac{{{n}!}}{{{n - k}!{k}!}}"]
    return gold, same, [str(value + 1), f"\\binom{{{n}}}{{{k - 1}}}" if 2 * k - 1 != n else "1", f"\\frac{{{n}!}}{{{k}!}}"]


def unit():
    n = R.randint(2, 900)
    name = R.choice(["cm", "kg", "meters", "hours", "m/s", "square units", "miles per hour", "dollars", "km^2"])
    gold = R.choice([f"{n}", f"{n}\\text{{ {name}}}"])
    same = [f"{n} {name}", f"{n}\\ \\text{{{name}}}", f"{n}\\,\\mathrm{{{name}}}", f"{n}"]
    return gold, same, [f"{n + 1}\\text{{ {name}}}", f"{n * 10}", f"{n * 100}\\text{{ {name}}}"]


def degrees():
    n = R.randint(2, 359)
    gold = f"{n}^\\circ"
    return gold, [f"{n}", f"{n}^{{\\circ}}", f"{n}°", f"{n}\\text{{ degrees}}", f"{n} degrees"], [f"{n + 1}^\\circ", f"{n}\\pi", f"{n * 100}"]


def choice():
    letter = R.choice("ABCDE")
    wrong = R.choice([other for other in "ABCDE" if other != letter])
    return f"\\text{{({letter})}}", [letter, f"({letter})", f"\\text{{{letter}}}", f"\\textbf{{({letter})}}", f"{letter}."], [wrong, f"({wrong})", f"{letter} or {wrong}", f"({letter}), ({wrong})"]


def words():
    word = R.choice(["Evelyn", "even", "Tuesday", "parabola", "no solution", "neither", "true", "northwest"])
    wrong = R.choice([other for other in ["Briana", "odd", "Friday", "ellipse", "infinitely many", "both", "false", "south"]])
    return f"\\text{{{word}}}", [word, f"\\text{{{word}}}", word.upper(), word.capitalize() + ".", f"\\mathrm{{{word}}}" if " " not in word else word], [wrong, f"\\text{{{wrong}}}", f"not {word}"]


def base():
    b = R.choice([2, 3, 5, 7, 8])
    digits = str(R.randrange(1, b)) + "".join(str(R.randrange(b)) for _ in range(R.randint(2, 5)))
    value = int(digits, b)
    gold = f"{digits}_{{{b}}}"
    last = str((int(digits[-1]) + 1) % b)
    return gold, [f"{digits}_{b}", f"{digits}_{{{b}}}", f"{digits}_{{\\text{{{b}}}}}", f"({digits})_{b}"], [f"{digits[:-1]}{last}_{b}", f"{digits}_{b + 1}", str(value + 1)]


def repeating():
    digits = R.choice(["3", "6", "12", "45", "142857", "09"])
    n, d = int(digits), 10 ** len(digits) - 1
    gold = f"0.\\overline{{{digits}}}"
    q = Fraction(n, d)
    return gold, [frac(q), f"0.{(digits * 4)[:max(4, 2 * len(digits))]}...", f"0.({digits})", f"0.\\overline{{{digits}{digits}}}", f"\\frac{{{n}}}{{{d}}}"], [f"0.{digits[:3]}", frac(other(q)), f"0.0\\overline{{{digits}}}"]


def plus_minus():
    a, b = R.randint(1, 9), R.choice([2, 3, 5, 7])
    gold = f"{a} \\pm \\sqrt{{{b}}}"
    return gold, [f"{a}+\\sqrt{{{b}}}, {a}-\\sqrt{{{b}}}", f"\\{{{a}-\\sqrt{b}, {a}+\\sqrt{b}\\}}", f"{a} ± \\sqrt{{{b}}}", f"x = {a} \\pm \\sqrt{b}"], [f"{a} + \\sqrt{{{b}}}", f"{b} \\pm \\sqrt{{{a + 10}}}", f"{a} \\pm {b}"]


def trigonometric():
    n = R.randint(10, 80)
    gold = f"\\sin {n}^\\circ"
    return gold, [f"\\cos {90 - n}^\\circ", f"\\sin({n}^\\circ)", f"\\sin{{{180 - n}^\\circ}}", f"\\sin\\frac{{{n}\\pi}}{{180}}"], [f"\\cos {n}^\\circ" if n != 45 else "1", f"\\sin {n + 1}^\\circ", f"-\\sin {n}^\\circ"]


def ratio():
    a, b = R.randint(2, 12), R.randint(2, 12)
    k = R.randint(5, 9)
    # Both sides below 60 could be times of day.
    return f"{a}:{b}", [f"{60 * a}:{60 * b}", f"{a} : {b}", f"{a * 10 * k}:{b * 10 * k}"], [f"{a + 1}:{b}", f"{b}:{a + b}", f"{a}:{b}:1"]


KINDS = [integer, rational, radical, of_pi, tuple_of, set_of, interval, union, polynomial, equation, complex_number, matrix, scientific,
         logarithm, power, binomial, unit, degrees, choice, words, base, repeating, plus_minus, trigonometric, ratio]
for at in range(COUNT):
    kind = KINDS[at % len(KINDS)]
    gold, same, wrong = kind()
    expect = R.random() < 0.5
    answer = R.choice(same if expect else wrong)
    row = {"id": f"{kind.__name__}-{at}", "gold": gold, "prediction": respond(answer), "expect": expect}
    print(json.dumps(row, ensure_ascii=False))
