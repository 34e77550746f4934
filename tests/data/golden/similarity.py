"""Makes similarity.json: the measures of text_similarity by their reference implementations.

Run: python similarity.py > similarity.json   (nltk 3.9, rapidfuzz 3.14, rouge-score 0.1.2)
"""

import json
import math
import re
import warnings
from collections import Counter

from nltk.stem.porter import PorterStemmer
from nltk.translate.bleu_score import sentence_bleu
from nltk.translate.gleu_score import sentence_gleu
from nltk.translate.meteor_score import single_meteor_score
from rapidfuzz import fuzz
from rouge_score import rouge_scorer

PAIRS = [
    ("the cat sat on the mat", "the cat sat on the mat"),
    ("the cat is on the mat", "the cat sat on the mat today"),
    ("the the the the the the the", "the cat is on the mat"),
    ("It is a guide to action which ensures that the military always obeys the commands of the party",
     "It is a guide to action that ensures that the military will forever heed Party commands"),
    ("It is to insure the troops forever hearing the activity guidebook that party direct",
     "It is a guide to action that ensures that the military will forever heed Party commands"),
    ("", "something"),
    ("nothing shared here", "completely different words"),
    ("42", "42"),
    ("The answer is 42.", "the ANSWER is: 42"),
    ("one two", "one two three four five six seven eight nine ten"),
    ("one two three four five six seven eight nine ten", "one two"),
    ("a b c d e f g h", "h g f e d c b a"),
    ("naïve café — déjà vu, İstanbul", "naive cafe - deja vu, Istanbul"),
    ("日本語の文章です", "日本語の文です 1"),
    ("tab\tand\x1cseparator\u00a0and\u2003space", "tab and separator and space"),
    ("don't stop-believing, it's 3.14 (really)", "dont stop believing its 3 14 really"),
    ("kitten sitting " * 12, "sitting kitten " * 9),
    ("x" * 130 + "y", "y" + "x" * 129),
    ("first line\nsecond line\r\nthird", "first line second line third"),
    ("repeat repeat repeat once", "repeat once repeat once repeat once"),
    ("he was running and hopping between the related troubles", "He runs and hops between relational trouble happily"),
    ("generalizations oscillators differently formalities of ponies", "general oscillator differs formal pony or ponies of"),
]
WORDS = """caresses ponies ties caress cats feed agreed plastered bled motoring sing conflated troubled sized hopping tanned
falling hissing fizzed failing filing happy sky relational conditional rational valenci hesitanci digitizer conformabli
radicalli differentli vileli analogousli vietnamization predication operator feudalism decisiveness hopefulness callousness
formaliti sensitiviti sensibiliti triplicate formative formalize electriciti electrical hopeful goodness revival allowance
inference airliner gyroscopic adjustable defensible irritant replacement adjustment dependent adoption homologou communism
activate angulariti homologous effective bowdlerize probate rate cease controll roll generalizations oscillators yes y ay
by boxing dying say says eed ing ed sses agreeing running skies abbey toys naïve café's 3.14 being x-ing""".split()
PORTER = PorterStemmer(mode="ORIGINAL_ALGORITHM")
ROUGE = ["rouge1", "rouge2", "rouge3", "rouge4", "rouge5", "rougeL"]


class NoSynonyms:
    """In the place of WordNet."""

    @staticmethod
    def synsets(word):
        return []


def cosine(text, reference):
    ours, theirs = (Counter(re.findall(r"[^\W_]+", side.lower())) for side in (text, reference))
    lengths = math.sqrt(sum(n * n for n in ours.values()) * sum(n * n for n in theirs.values()))
    return sum(n * theirs[word] for word, n in ours.items()) / lengths if lengths else 0.0


def measures(text, reference):
    found = {
        "fuzzy_match": fuzz.ratio(text, reference) / 100,
        "bleu": float(sentence_bleu([reference.split()], text.split())),
        "gleu": float(sentence_gleu([reference.split()], text.split())),
        "meteor": single_meteor_score(reference.split(), text.split(), stemmer=PORTER, wordnet=NoSynonyms),
        "cosine_words": cosine(text, reference),
    }
    scores = rouge_scorer.RougeScorer(ROUGE, use_stemmer=False).score(reference, text)
    found |= {f"rouge_{name[5:].lower()}": scores[name].fmeasure for name in ROUGE}
    return found


warnings.simplefilter("ignore")
cases = [{"input": text, "reference": reference, "measures": measures(text, reference)} for text, reference in PAIRS]
stems = {word: PORTER.stem(word) for word in WORDS}
print(json.dumps({"cases": cases, "stems": stems}, indent=1))
