"""``--format html``: one page, in a file or on stdout, of a machine and of a paste."""

from __future__ import annotations

from pathlib import Path

from tests.cli.run import gpudoctor
from tests.render.markup import named, read

TICKET = (
    "PyTorch version: 2.6.0+cu124\nNvidia driver version: 470.182.03\nGPU 0: Tesla V100-SXM2-16GB\n<b>/home/carol</b>\n"
)


def test_a_look_at_this_machine_is_a_page_in_a_file_and_stdout_stays_empty(tmp_path: Path) -> None:
    ran = gpudoctor("diagnose", "--quick", "--allow-cpu", "--format", "html", "-o", "report.html", home=tmp_path)
    elements = read((tmp_path / "report.html").read_text("utf-8"))
    assert ran.stdout == ""
    assert named(elements, "title")[0].text.endswith(" · gpudoctor")
    assert len(named(elements, "h1")) == 1


def test_a_paste_is_a_page_with_its_private_values_removed_and_nothing_of_it_is_markup(tmp_path: Path) -> None:
    (tmp_path / "ticket.txt").write_text(TICKET, "utf-8")
    ran = gpudoctor("triage", "ticket.txt", "--format", "html", home=tmp_path)
    elements = read(ran.stdout)
    assert "carol" not in ran.stdout
    assert named(elements, "b") == []
    assert "from a pasted text: ticket.txt" in elements[0].text


def test_one_page_is_one_report(tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text(TICKET, "utf-8")
    ran = gpudoctor("triage", "a.txt", "b.txt", "--format", "html", home=tmp_path)
    assert (ran.code, ran.stdout) == (2, "")
    assert "html is one report" in " ".join(ran.stderr.split())
