import unittest

from onefill.lookups import Answer, Lookups

MISS, HIT, RETRY = Answer.MISS, Answer.HIT, Answer.RETRY


class LookupsTest(unittest.TestCase):
    def setUp(self):
        self.worth = True
        self.lookups = Lookups(0.1, lambda chunks, now: self.worth, lambda chunks: 1.0)
        self.lookups.open("r", loads=True)

    def ask(self, keys, now=0.0, request="r"):
        """Like the scheduler: one key after the other, until one is missed."""
        answers = []
        for key in keys:
            answers.append(self.lookups.answer(request, key, now))
            if answers[-1] is MISS:
                break
        return answers

    def settle(self, *found):
        questions = self.lookups.take_questions()
        self.lookups.settle(questions, found)

    def test_all_keys_are_asked_in_one_batch_and_then_known(self):
        self.assertEqual(self.ask([b"a", b"b", b"c"]), [RETRY] * 3)
        self.assertEqual(self.ask([b"a", b"b", b"c"], 0.01), [RETRY] * 3)
        self.assertEqual(len(self.lookups.questions), 3)
        self.settle(True, True, False)
        self.assertEqual(self.ask([b"a", b"b", b"c"], 0.02), [HIT, HIT, MISS])

    def test_where_a_chain_ends_is_told_once(self):
        self.ask([b"a", b"b", b"c"])
        self.settle(True, False, False)
        self.assertEqual(self.lookups.take_absent(), [b"b"])
        self.assertEqual(self.lookups.take_absent(), [])

    def test_no_answer_says_nothing_about_where_a_chain_ends(self):
        self.ask([b"a"])
        self.lookups.settle(self.lookups.take_questions(), [False], sure=False)
        self.assertEqual(self.lookups.take_absent(), [])

    def test_a_silent_store_is_a_miss_after_the_time_out(self):
        self.ask([b"a", b"b"])
        self.assertEqual(self.ask([b"a"], 0.099), [RETRY])
        self.assertEqual(self.ask([b"a"], 0.1), [MISS])
        self.settle(True, True)
        self.assertEqual(self.ask([b"a"], 0.11), [MISS])
        self.assertEqual(self.lookups.timed_out, 1)

    def test_an_answer_that_came_while_the_engine_was_busy_is_used(self):
        self.ask([b"a"])
        self.settle(True)
        self.assertEqual(self.ask([b"a"], 5.0), [HIT])

    def test_a_load_has_a_time_out_of_its_own(self):
        self.ask([b"a"])
        self.settle(True)
        self.assertEqual(self.ask([b"a"], 0.05), [HIT])
        self.assertAlmostEqual(self.lookups.patience_left("r", 1, 0.25), 0.8)
        self.assertEqual(self.ask([b"a"], 1.06), [MISS])

    def test_what_did_not_come_is_not_tried_again(self):
        self.ask([b"a", b"b"])
        self.settle(True, True)
        self.assertEqual(self.ask([b"a", b"b"]), [HIT, HIT])
        self.lookups.failed("r", [b"b"])
        self.assertEqual(self.ask([b"a", b"b"]), [HIT, MISS])

    def test_a_load_that_does_not_pay_off_is_declined_once(self):
        self.worth = False
        self.ask([b"a"])
        self.settle(True)
        self.assertEqual(self.ask([b"a"]), [MISS])
        self.worth = True
        self.assertEqual(self.ask([b"a"]), [MISS])
        self.assertEqual(self.lookups.declined, 1)

    def test_a_request_that_wants_no_load_asks_nothing(self):
        self.lookups.open("s", loads=False)
        self.assertEqual(self.ask([b"a"], request="s"), [MISS])
        self.assertEqual(self.lookups.take_questions(), [])

    def test_answers_for_a_finished_request_are_dropped(self):
        self.ask([b"a"])
        self.lookups.close("r")
        self.settle(True)
        self.assertEqual(self.ask([b"a"]), [MISS])


if __name__ == "__main__":
    unittest.main()
