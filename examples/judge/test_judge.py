"""What the judge looks for, and when it has found it. Needs no OCR: python -m unittest in this folder."""

import unittest

from judge import judge, quotes, units


class Quotes(unittest.TestCase):
    def test_the_words_in_quotes_are_wanted_whichever_way_they_are_quoted(self):
        for prompt, wanted in [
            ('a sign that says "SALE"', ["SALE"]),
            ('"OPEN" on one door and "CLOSED" on the other', ["OPEN", "CLOSED"]),
            ("a poster 'BIG DAY' at Tom's, the kids' club", ["BIG DAY"]),
            ("\u201cGrand  Opening\u201d and \u2018It\u2019s time\u2019", ["Grand Opening", "It\u2019s time"]),
            ("\u201eGro\u00dfe Er\u00f6ffnung\u201c, \u201aneu\u2018, \u00bbHalt\u00ab", ["Gro\u00dfe Er\u00f6ffnung", "neu", "Halt"]),
            ("\u00ab\u00a0SOLDES\u00a0\u00bb et \u2039\u00a0hiver\u00a0\u203a", ["SOLDES", "hiver"]),
            ("\u300c\u55b6\u696d\u4e2d\u300d", ["\u55b6\u696d\u4e2d"]),
        ]:
            self.assertEqual(quotes(prompt), wanted, prompt)

    def test_apostrophes_inches_and_what_nobody_closes_are_no_quotes(self):
        for prompt in [
            "", "a fox", "don't", "the kids' room", 'a 24" screen beside a 27" one', "a '90s car, rock 'n' roll", '5" tall', 'a "', '""',
        ]:
            self.assertEqual([quote for quote in quotes(prompt) if units(quote)], [], prompt)

    def test_words_that_are_not_wanted_are_not_looked_for(self):
        self.assertEqual(quotes('not the word "SALE" but "OPEN"'), ["OPEN"])
        self.assertEqual(quotes("ohne das Wort \u201eNEU\u201c, sans le mot \u00ab NON \u00bb"), [])
        self.assertEqual(quotes('a sign with no border that says "SALE"'), ["SALE"])

    def test_a_prompt_full_of_quotes_is_searched_to_a_bound(self):
        self.assertEqual(len(quotes('"a word" ' * 100)), 16)
        self.assertEqual(quotes(f'"{"x" * 121}"'), [])


class Verdicts(unittest.TestCase):
    def verdict(self, wanted, *lines):
        answer = judge([wanted], list(lines), 0.8)
        return answer.verdict, answer.score

    def test_case_accents_spaces_and_line_breaks_do_not_count(self):
        for wanted, lines in [
            ("Summer Sale", ["SUMMERSALE"]),
            ("SUMMER SALE", ["summer", "sale"]),
            ("Gro\u00dfe Er\u00f6ffnung", ["Grosse Eroffnung"]),
            ("Welcome", ["Wel", "come"]),
            ("Rock-n-roll!", ["ROCK N ROLL"]),
        ]:
            self.assertEqual(self.verdict(wanted, *lines), ("accept", 1.0), wanted)

    def test_one_letter_of_five_may_be_misread_and_none_of_four(self):
        self.assertEqual(self.verdict("COFFEE", "COFFEF")[0], "accept")
        self.assertEqual(self.verdict("HOUSE", "H0USE")[0], "accept")
        self.assertEqual(self.verdict("SALE", "SALF")[0], "reject")
        self.assertEqual(self.verdict("COFFEE", "GOFEF")[0], "reject")

    def test_numbers_match_to_the_digit(self):
        self.assertEqual(self.verdict("OPEN 24 HOURS", "OPEN 24 HOURS"), ("accept", 1.0))
        self.assertEqual(self.verdict("50% OFF", "5O%OFF"), ("accept", 1.0))
        self.assertEqual(self.verdict("OPEN 24 HOURS", "OPEN 20 HOURS"), ("reject", 0.5))

    def test_a_word_of_two_letters_is_not_found_inside_of_another(self):
        self.assertEqual(self.verdict("GO", "GOAL")[0], "reject")
        self.assertEqual(self.verdict("GO", "let us GO")[0], "accept")
        self.assertEqual(units("BACK TO SCHOOL"), ["back", "toschool"])

    def test_the_score_is_the_share_of_the_words_and_reasons_name_what_is_missing(self):
        answer = judge(["SUMMER SALE", "today"], ["TODAY", "SUMMER"], 0.8)
        self.assertEqual((answer.verdict, answer.score), ("reject", 0.667))
        self.assertEqual(answer.reasons, ["missing text: SUMMER SALE"])
        self.assertEqual(judge(["SALE"], [], 0.8).score, 0.0)


if __name__ == "__main__":
    unittest.main()
