#!/usr/bin/env python3
# What the benchmarks say follows from what they measured: ratios, who was the bottleneck, and where we lose.
import pathlib
import sys
import tempfile
import unittest
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "bench"))
import plot  # noqa: E402
import report  # noqa: E402
from report import Row, Table  # noqa: E402


def table(*rows: Row, columns: tuple[str, ...] = ("cpu", "rate", "busy")) -> Table:
    return Table("Echo", "One message.", "message", "messages", list(rows), columns,
                 tuple(name for name in columns if name != "busy"))


def row(title: str, role: str, **values: list[float]) -> Row:
    return Row(title, role, values)


class Ratios(unittest.TestCase):
    def test_a_ratio_compares_what_was_measured_in_the_same_round(self) -> None:
        limit = row("raw", "limit", cpu=[1.0, 10.0, 1.0])
        self.assertEqual(report.ratio(row("ours", "ours", cpu=[2.0, 20.0, 2.0]), limit, "cpu"), 2.0)

    def test_the_best_of_two_limits_is_the_limit_for_each_figure(self) -> None:
        both = table(row("epoll", "limit", cpu=[1.0], rate=[10.0]), row("uring", "limit", cpu=[2.0], rate=[20.0]))
        self.assertEqual((both.best("limit", "cpu").title, both.best("limit", "rate").title), ("epoll", "uring"))

    def test_a_peer_that_failed_is_not_compared_with(self) -> None:
        failed = row("peer", "peer", cpu=[1.0])
        failed.failed = "load: the echo is wrong"
        alone = table(failed, row("ours", "ours", cpu=[2.0]))
        self.assertIsNone(alone.best("peer", "cpu"))
        self.assertIn("Left out: peer, which failed (load: the echo is wrong).", report.markdown(alone))


class Losses(unittest.TestCase):
    def losses(self, ours: list[float], peer: list[float], metric: str = "cpu") -> list[str]:
        rows = (row("ours", "ours", **{metric: ours}), row("peer", "peer", **{metric: peer}))
        return [str(loss) for loss in report.losses([table(*rows, columns=(metric,))], "peer")]

    def test_what_costs_more_in_four_rounds_of_five_is_a_loss(self) -> None:
        found = self.losses([1.2, 1.2, 1.2, 1.2, 0.9], [1.0] * 5)
        self.assertEqual(found, ["Echo: ours: 1.20 times the CPU of peer"])

    def test_a_lower_rate_is_a_loss(self) -> None:
        found = self.losses([50.0] * 5, [100.0] * 5, "rate")
        self.assertEqual(found, ["Echo: ours: 2.00 times the lower rate of peer"])

    def test_what_differs_from_round_to_round_is_no_loss(self) -> None:
        self.assertEqual(self.losses([1.5, 0.9, 1.5, 0.9, 1.5], [1.0] * 5), [])

    def test_two_per_cent_are_noise(self) -> None:
        self.assertEqual(self.losses([1.02] * 5, [1.0] * 5), [])


class Bottleneck(unittest.TestCase):
    def limited(self, server: float, client: float) -> str:
        return report.limited_by(row("ours", "ours", server_busy=[server], client_busy=[client]))

    def test_who_has_nothing_left_of_its_core_is_the_bottleneck(self) -> None:
        self.assertEqual(self.limited(0.99, 0.5), "server (99%, 50%)")
        self.assertEqual(self.limited(0.5, 0.99), "client (50%, 99%)")
        self.assertEqual(self.limited(0.99, 0.99), "server and client (99%, 99%)")
        self.assertEqual(self.limited(0.5, 0.5), "neither (50%, 50%)")


class Document(unittest.TestCase):
    def test_where_we_lose_comes_first(self) -> None:
        tables = [table(row("ours", "ours", cpu=[2.0] * 5), row("peer", "peer", cpu=[1.0] * 5))]
        text = report.document(tables, [("cores", "2")], "![picture](picture.svg)", "Again: `./dev bench`.")
        self.assertTrue(text.startswith("## Where Coax loses\n"))
        self.assertIn("| Echo | ours | peer | CPU | 2.00 |", text)

    def test_what_stands_around_the_figures_stays(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "benchmarks.md"
            path.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
            report.write(path, "new\n")
            self.assertEqual(path.read_text(), f"before\n{report.BEGIN}\nnew\n{report.END}\nafter\n")

    def test_the_picture_is_well_formed_and_has_a_line_for_each_of_ours(self) -> None:
        rows = row("raw", "limit", cpu=[1.0]), row("a & b", "ours", cpu=[1e9]), row("<p>", "peer", cpu=[0.01])
        tables = [table(*rows)]
        root = xml.etree.ElementTree.fromstring(plot.picture(tables))
        words = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
        self.assertIn("CPU · a & b", words)
        self.assertIn("<p>", words)


if __name__ == "__main__":
    unittest.main()
