"""Programs that ask for HTTP/2 by default, as they come: curl --http2, and Java's HttpClient."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.standalone.test_attacks import QUIET
from tests.standalone.up import Up

JAVA = """
import java.net.URI;
import java.net.http.*;

public class Post {
    public static void main(String[] given) throws Exception {
        var request = HttpRequest.newBuilder(URI.create(given[0])).header("Content-Type", "application/json")
            .POST(HttpRequest.BodyPublishers.ofString(given[1])).build();
        var client = HttpClient.newHttpClient();
        for (int turn = 0; turn < 2; turn++) {
            var answer = client.send(request, HttpResponse.BodyHandlers.ofString());
            System.out.println(answer.statusCode() + " " + answer.body());
        }
    }
}
"""
EVENT = '{"event_id":"E-1","event_type":"click","item_id":"MOB001"}'


@pytest.fixture
def url(up: Up) -> Iterator[str]:
    yield up.start(*QUIET)["http"]
    assert "Traceback" not in up.end()


def test_curl_that_asks_for_http_2(url: str, tmp_path: Path) -> None:
    program = shutil.which("curl") or pytest.skip("curl is not installed")
    call = [program, "--http2", "-sS", "-w", " %{http_code}", "-H", "Content-Type: application/json", "-d", EVENT]
    done = subprocess.run([*call, f"{url}/v1/clicks"], capture_output=True, text=True, check=True, timeout=20)
    assert done.stdout.endswith(" 200")
    assert '"status":"accepted"' in done.stdout


def test_java_s_own_client(url: str, tmp_path: Path) -> None:
    """Twice on one connection: the second is the same event again."""
    program = shutil.which("java") or pytest.skip("java is not installed")
    (tmp_path / "Post.java").write_text(JAVA)
    done = subprocess.run(
        [program, str(tmp_path / "Post.java"), f"{url}/v1/clicks", EVENT],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if "ClassNotFoundException" in done.stderr or "jdk.compiler" in done.stderr:
        pytest.skip("no Java compiler: a JDK is needed")
    first, second = done.stdout.splitlines()
    assert first.startswith("200 ")
    assert '"status":"accepted"' in first
    assert '"status":"duplicate"' in second
