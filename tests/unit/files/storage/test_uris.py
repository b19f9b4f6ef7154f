"""What a message writes never leads outside the roots, however it is spelled. No server is asked."""

from __future__ import annotations

import string
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.files.errors import InputNotAllowed
from workers.files.storage.uris import Location, remote_location, segment

ROOTS = [
    remote_location(root)
    for root in (
        "s3://bucket/in/",
        "sftp://files.example.com/srv/in",
        "https://files.example.com/in",
        "https://10.1.2.3:8443/in",
    )
]


def allowed(uri: str) -> bool:
    try:
        location = remote_location(uri)
    except InputNotAllowed as error:
        refused = str(error)
    else:
        return any(location.below(root) for root in ROOTS)
    assert "secret" not in refused
    return False


@pytest.mark.parametrize(
    "uri",
    [
        "s3://bucket/in/a b/ü.csv",
        "S3://bucket/in/100%.csv",
        "s3://bucket/in/..csv",
        "sftp://FILES.example.com:22/srv/in/100%25.csv",
        "sftp://files.example.com/srv/in/%252e%252e/x",
        "https://files.example.com:443/in/Z%C3%BCrich.csv",
        "https://files.example.com/%69n/ü.csv",
        "https://10.1.2.3:8443/in/x",
    ],
)
def test_what_lies_below_a_root(uri: str) -> None:
    assert allowed(uri)


@pytest.mark.parametrize(
    "uri",
    [
        "s3://bucket/in/../secret",
        "s3://bucket/in/./x",
        "s3://bucket/in//x",
        "s3://bucket/inside/x",
        "s3://bucket2/in/x",
        "s3://user:secret@bucket/in/x",
        "s3://bucket/in/x?versionId=secret",
        "s3:bucket/in/x",
        "s3:///in/x",
        "sftp://files.example.com/srv/in/../../etc/passwd",
        "sftp://files.example.com/srv/in/%2e%2e/%2e%2e/etc/passwd",
        "sftp://files.example.com/srv/in/..%2f..%2fetc/passwd",
        "sftp://files.example.com/srv/in/x%00",
        "sftp://files.example.com:2222/srv/in/x",
        "sftp://root:secret@files.example.com/srv/in/x",
        "sftp://files.example.com/srv/input/x",
        "sftp://files.example.com/srv/in/%ff",
        "ssh://files.example.com/srv/in/x",
        "https://files.example.com/in/../x",
        "https://files.example.com/in/%2E%2e/x",
        "https://files.example.com/in/%252E%252e/x",
        "https://files.example.com/in/%25252E%25252e/x",
        "https://files.example.com/in/..%5cx",
        "https://files.example.com/in\\..\\x",
        "https://files.example.com/in/a%2fb",
        "https://files.example.com/in/%zz",
        "https://files.example.com/in/x?token=secret",
        "https://files.example.com/in/x#y",
        "https://files.example.com:8443/in/x",
        "http://files.example.com/in/x",
        "https://files.example.com.evil.com/in/x",
        "https://files.example.com./in/x",
        "https://files.example.com@evil.com/in/x",
        "https://evil.com@files.example.com/in/x",
        "https://user:secret@files.example.com/in/x",
        "https://evil.com\\@files.example.com/in/x",
        "https://evil.com#@files.example.com/in/x",
        "https://evil.com?files.example.com/in/x",
        "https://ﬁles.example.com/in/x",
        "https://files。example.com/in/x",
        "https://files.example.com:99999/in/x",
        "https://files.example.com:x/in/x",
        "https:files.example.com/in/x",
        "https:///in/x",
        "https://\tfiles.example.com/in/x",
        "https://files.example.com/in/x\r\nHost: evil.com",
        "https://10.1.2.3/in/x",
        "https://167838211:8443/in/x",
        "https://0x0a010203:8443/in/x",
        "https://012.1.2.3:8443/in/x",
        "https://10.1.515:8443/in/x",
        "https://[::ffff:10.1.2.3]:8443/in/x",
        "https://[::1]/in/x",
        "https://[::1/in/x",
        "https://127.0.0.1/in/x",
        "https://169.254.169.254/latest/meta-data",
        "gopher://files.example.com/in/x",
        "data:text/csv,name",
        "https://files.example.com/in/\ud800",
        "https://",
        "s3://",
        "",
    ],
)
def test_what_does_not(uri: str) -> None:
    assert not allowed(uri)


PARTS = st.sampled_from(
    [
        "..",
        ".",
        "",
        "in",
        "srv",
        "x",
        "%2e%2e",
        "%2E",
        "%252e%252e",
        "%2f",
        "%5c",
        "\\",
        "?q",
        "#f",
        "@",
        ":",
        "ü",
        "%",
    ]
) | st.text(max_size=5)
HEADS = st.sampled_from([root.uri for root in ROOTS])


@given(HEADS, st.lists(PARTS, max_size=6), st.sampled_from(["/", "", "%2f", "//"]))
def test_whatever_is_appended_to_a_root_stays_below_it(head: str, parts: list[str], between: str) -> None:
    try:
        location = remote_location(head + between + between.join(parts))
    except InputNotAllowed:
        return
    if not location.below(remote_location(head)):
        return  # another name that begins alike
    assert location.authority == remote_location(head).authority
    # Read again from what it was written as, it is the same place.
    assert remote_location(location.uri) == location
    path = location.path
    for _ in range(4):
        assert not {"", ".", ".."} & set(path.strip("/").split("/")[1:])
        path = (
            path
            if location.scheme in {"s3", "sftp"}  # neither decodes what it is given
            else path.replace("%25", "%").replace("%2e", ".").replace("%2f", "/")
        )


@given(st.text(string.printable, max_size=40), st.text(string.printable, max_size=20))
def test_no_host_of_others_passes(host: str, path: str) -> None:
    uri = f"https://{host}/in/{path}"
    if allowed(uri):
        location = remote_location(uri)
        assert location.authority in {"files.example.com", "10.1.2.3:8443"}
        assert (host.lower().partition(":")[0]) in {"files.example.com", "10.1.2.3"}


@given(st.text(min_size=1, max_size=80), st.text(min_size=1, max_size=80))
def test_results_are_found_by_their_own_uris(job: str, name: str) -> None:
    for root in ROOTS[:2]:
        location = root / segment(job) / segment(name)
        assert remote_location(location.uri) == location
        assert location.below(root)


def test_uris_are_written_in_one_way() -> None:
    assert Location("sftp", "h:2222", "/a b/ü").uri == f"sftp://h:2222{quote('/a b/ü')}"
    assert remote_location("https://[2001:DB8::1]:443/x").uri == "https://[2001:db8::1]/x"
    assert (remote_location("https://h:8443/x").host, remote_location("https://h:8443/x").port) == ("h", 8443)
    assert remote_location("sftp://h/x").port == 22
