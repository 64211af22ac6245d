import unittest

from onefill.rates import Judge, Line, Rate
from onefill.settings import Settings


class LineTest(unittest.TestCase):
    def test_it_finds_start_and_bandwidth(self):
        line = Line()
        for nbytes in (1e6, 5e6, 2e6, 9e6, 4e6, 7e6):
            line.observe(int(nbytes), 0.01 + nbytes / 1e9, 0.0)
        self.assertAlmostEqual(line.seconds(20_000_000), 0.03, places=6)

    def test_one_size_alone_is_taken_in_proportion(self):
        line = Line()
        for _ in range(3):
            line.observe(1_000_000, 0.01, 0.0)
        self.assertAlmostEqual(line.seconds(4_000_000), 0.04)

    def test_it_knows_nothing_at_first(self):
        self.assertIsNone(Line().seconds(1))
        self.assertIsNone(Rate().seconds(1))


class JudgeTest(unittest.TestCase):
    def setUp(self):
        self.judge = Judge(32, 1_000_000, Settings("onefill://x", min_load_tokens=64))

    def test_it_loads_until_it_knows_better(self):
        self.assertTrue(self.judge.worth(10, 0.0))
        self.assertEqual(self.judge.patience(10), 2.0)

    def test_it_compares_what_was_measured(self):
        self.judge.prefill.observe(32_000, 1.0)  # 1 ms a chunk
        self.judge.loads.observe(10_000_000, 0.05, 100.0)  # 5 ms a chunk
        self.assertFalse(self.judge.worth(10, 110.0))
        self.assertTrue(self.judge.worth(10, 200.0), "an old measure is made again")
        for _ in range(60):
            self.judge.loads.observe(10_000_000, 0.001, 110.0)
        self.assertTrue(self.judge.worth(10, 110.0))

    def test_a_load_may_take_as_long_as_the_prefill_would(self):
        self.judge.prefill.observe(32_000, 1.0)
        self.assertAlmostEqual(self.judge.patience(500), 0.5)
        self.assertAlmostEqual(self.judge.patience(1), 0.05)
        self.assertAlmostEqual(self.judge.patience(100_000), 2.0)

    def test_it_can_be_told_to_load_always(self):
        judge = Judge(32, 1_000_000, Settings("onefill://x", load_when="always"))
        judge.prefill.observe(32_000, 1.0)
        judge.loads.observe(10_000_000, 5.0, 100.0)
        self.assertTrue(judge.worth(10, 100.0))

    def test_little_is_not_worth_a_trip(self):
        self.assertFalse(self.judge.worth(1, 0.0))
        self.assertFalse(self.judge.worth(0, 0.0))


if __name__ == "__main__":
    unittest.main()
