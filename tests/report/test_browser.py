"""A real browser opens the pages: nothing is blocked, nothing overflows, nothing is asked of the network."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from longderm.report import write_reports
from tests.report.builder import clinic, context, identifier

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
OPTIONS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND",  # the browser's own services find no one either
]

pytestmark = pytest.mark.skipif(BROWSER is None, reason="chromium is not installed")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = clinic()
    out = tmp_path_factory.mktemp("report")
    write_reports(made.tables(), made.read_object, out, context=context(as_of_days={identifier("one"): 700}))
    return out


def browse(page: Path, tmp_path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    assert BROWSER is not None
    command = [BROWSER, *OPTIONS, f"--user-data-dir={tmp_path / 'profile'}", *options, page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)


def requests_of(page: Path, tmp_path: Path) -> list[str]:
    """Addresses that a page asks for besides files; what the browser asks for itself has no origin."""
    log = tmp_path / "net.json"
    browse(page, tmp_path, f"--log-net-log={log}", "--dump-dom")
    events = json.loads(log.read_text())
    kinds = {number: name for name, number in events["constants"]["logEventTypes"].items()}
    started = [event["params"] for event in events["events"] if kinds[event["type"]] == "URL_REQUEST_START_JOB"]
    return [job["url"] for job in started if job.get("initiator", "not an origin") != "not an origin"]


@pytest.mark.parametrize("name", ["worklist", "one"])
def test_the_browser_complains_of_nothing_and_requests_nothing_but_the_page(
    report: Path, tmp_path: Path, name: str
) -> None:
    page = report / "worklist.html" if name == "worklist" else report / "patients" / f"{identifier(name)}.html"
    done = browse(page, tmp_path, "--enable-logging=stderr", "--v=0", "--dump-dom")
    assert not re.findall(r"CONSOLE.*", done.stderr), "blocked by the policy, or a script error"
    assert "<footer" in done.stdout
    assert requests_of(page, tmp_path) == []


def test_a_page_that_asks_for_something_would_be_noticed(tmp_path: Path) -> None:
    page = tmp_path / "asks.html"
    page.write_text("<img src='http://example.invalid/a.png'>")
    assert requests_of(page, tmp_path) == ["http://example.invalid/a.png"]


@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_is_as_wide_as_its_window(report: Path, tmp_path: Path, width: int) -> None:
    # The page itself forbids scripts, so a frame of the asked width measures it from outside.
    page = report / "patients" / f"{identifier('one')}.html"
    probe = report / "patients" / f"probe-{width}.html"
    probe.write_text(
        f"<iframe id=f src='{page.name}' width={width} height=900 frameborder=0></iframe><script>f.onload=()=>"
        "{const d=f.contentDocument.documentElement;document.title=d.scrollWidth+' '+d.clientWidth}</script>"
    )
    done = browse(probe, tmp_path, "--allow-file-access-from-files", "--window-size=1400,1000", "--dump-dom")
    found = re.search(r"<title>(\d+) (\d+)</title>", done.stdout)
    assert found is not None, done.stdout[:400]
    assert int(found[1]) <= int(found[2]) == width


def test_the_page_prints(report: Path, tmp_path: Path) -> None:
    pdf = tmp_path / "page.pdf"
    page = report / "patients" / f"{identifier('one')}.html"
    browse(page, tmp_path, "--no-pdf-header-footer", f"--print-to-pdf={pdf}")
    assert pdf.read_bytes().startswith(b"%PDF")
    assert 2 <= len(re.findall(rb"/Type\s*/Page\b", pdf.read_bytes())) <= 12
