import unittest

from onefill.settings import Settings, Wishes

BAD = {
    "load_timeout_ms": "2s",
    "colour": 1,
    "token_env": "ONEFILL_NO_SUCH",
    "load_when": "never",
    "threads": 0,
    "window": "no",
}


class SettingsTest(unittest.TestCase):
    def test_every_fault_is_named_at_once(self):
        with self.assertRaises(ValueError) as caught:
            Settings.parse({**BAD, "url": "http://x"})
        for word in ("url must be", *BAD):
            self.assertIn(word, str(caught.exception))

    def test_url_is_enough(self):
        self.assertEqual(Settings.parse({"url": "onefill://127.0.0.1"}).load_timeout_ms, 2000)

    def test_tls_goes_with_its_scheme_and_a_certificate_with_its_key(self):
        words = {"url": "onefills://h", "tls_certificate": "c", "tls_key": "k"}
        settings = Settings.parse(words)
        self.assertEqual(settings.tls.files(settings.url), (None, ("c", "k")))
        for wrong in ({"tls_key": None}, {"url": "onefill://h"}):
            with self.assertRaises(ValueError):
                Settings.parse({**words, **wrong})
        self.assertIsNone(Settings.parse({"url": "onefill://h"}).tls.files("onefill://h"))

    def test_a_password_in_the_url_is_refused(self):
        with self.assertRaises(ValueError):
            Settings.parse({"url": "onefill://user:word@127.0.0.1"})


class WishesTest(unittest.TestCase):
    def test_hints(self):
        wishes = Wishes.parse({"onefill": {"store": False, "ttl_s": 5}})
        self.assertEqual((wishes.store, wishes.load, wishes.ttl_s), (False, True, 5.0))

    def test_nonsense_is_left_out(self):
        for params in (None, {}, {"onefill": 3}, {"onefill": {"ttl_s": "x", "load": "no"}}):
            self.assertEqual(Wishes.parse(params), Wishes())


if __name__ == "__main__":
    unittest.main()
