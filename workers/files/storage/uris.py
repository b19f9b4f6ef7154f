"""The URIs by which a message names a file, and whether they lie below a root. Nothing here opens a file."""

from __future__ import annotations

import hashlib
import os
import re
from ipaddress import IPv6Address
from typing import NamedTuple
from urllib.parse import quote, unquote_to_bytes, urlsplit

from workers.files.errors import InputNotAllowed

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
_HOST = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?")
_BROKEN_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_PORTS = {"https": 443, "http": 80, "sftp": 22}
_NAME_LIMIT = 200  # bytes of one path part; file systems take 255, `.part` included
#: What stays as it is in the path of a web address; all else but letters and digits is percent-encoded.
_WEB_SAFE = "%/:@!$&'()*+,;=-._~"


class Location(NamedTuple):
    """A place on another machine.

    Attributes:
        scheme: `s3`, `sftp`, `https` or `http`.
        authority: the bucket, or the host in lower case with its port, the scheme's own left out.
        path: an object's key; an absolute path, decoded (SFTP) or as it travels (web). Without `/` at its end.
        query: of a redirect's target; nothing else has one.
    """

    scheme: str
    authority: str
    path: str
    query: str = ""

    @property
    def server(self) -> tuple[str, str]:
        """Scheme and authority: what one client talks to."""
        return self.scheme, self.authority

    @property
    def host(self) -> str:
        """The host without port and brackets."""
        return urlsplit(f"//{self.authority}").hostname or ""

    @property
    def port(self) -> int:
        """The port, the scheme's own unless another was given."""
        return urlsplit(f"//{self.authority}").port or _PORTS[self.scheme]

    @property
    def uri(self) -> str:
        """The URI that names it."""
        path = quote(self.path) if self.scheme == "sftp" else self.path
        slash = "/" if self.scheme == "s3" else ""
        return f"{self.scheme}://{self.authority}{slash}{path}" + (f"?{self.query}" if self.query else "")

    def below(self, root: Location) -> bool:
        """Return whether it is `root` or lies below it, part by part."""
        if self.server != root.server:
            return False
        path, above = _parts(self), _parts(root)
        return path[: len(above)] == above

    def __truediv__(self, name: str) -> Location:
        """The part `name`, or several with `/` in between, below it."""
        return self._replace(path=f"{self.path}/{name}" if self.path else name)


def scheme_of(uri: str) -> str:
    """The scheme in lower case; `file` for a path."""
    match = _SCHEME.match(uri)
    return match[1].lower() if match else "file"


def file_name(uri: str) -> str:
    """The last part of a URI or path, for messages to people."""
    return uri.rstrip("/").rpartition("/")[2]


def local_path(uri: str) -> str:
    """The path that a path or `file://` URI names, nothing resolved yet. Raises `InputNotAllowed`."""
    path = uri
    if scheme := _SCHEME.match(uri):
        if scheme[1].lower() != "file":
            raise InputNotAllowed(f"the scheme {scheme[1]!r} is not supported, use a path or file:///…")
        path = uri[scheme.end() :]
        if path.startswith("//"):
            host, slash, path = path[2:].partition("/")
            if host.lower() not in {"", "localhost"}:
                raise InputNotAllowed("a file URI of another host cannot be read, use file:///…")
            path = slash + path
        if not path.startswith("/"):
            raise InputNotAllowed("a file URI needs an absolute path: file:///…")
        if "?" in path or "#" in path:
            raise InputNotAllowed("a file URI has no query or fragment, write %3F and %23")
        path = os.fsdecode(unquote_to_bytes(path))
    if not path or _CONTROL.search(path):
        raise InputNotAllowed("the path is empty or holds control characters")
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        raise InputNotAllowed("the path is not valid Unicode") from None
    return path


def remote_location(uri: str, *, query: bool = False) -> Location:
    """The place that a URI of another scheme names.

    Everything that two programs might read in two ways is refused instead of resolved.

    Args:
        uri: `s3://bucket/key`, `sftp://host/path`, `https://host/path` or `http://…`.
        query: whether it may have a query, as a redirect's target may.

    Raises:
        InputNotAllowed: it is none; holds a user, password, query, fragment, `..`, …
    """
    scheme = scheme_of(uri)
    if scheme not in {"s3", *_PORTS}:
        raise InputNotAllowed(f"the scheme {scheme[:32]!r} is not supported")
    if _CONTROL.search(uri) or "\\" in uri:
        raise InputNotAllowed("the URI holds control characters or a backslash")
    rest = uri[len(scheme) + 1 :]
    if not rest.startswith("//"):
        raise InputNotAllowed(f"the URI must begin with {scheme}://")
    authority, slash, path = rest[2:].partition("/")
    if "@" in authority:
        raise InputNotAllowed("a URI must not hold a user or password: set them in the worker's settings")
    query_string = ""
    if query:
        path, _, query_string = path.partition("#")[0].partition("?")
    if any(mark in authority + path for mark in "?#"):
        raise InputNotAllowed("a URI must not have a query or fragment, as it is recorded and told")
    try:
        uri.encode()
    except UnicodeEncodeError:
        raise InputNotAllowed("the URI is not valid Unicode") from None
    if scheme == "s3":
        if not _BUCKET.fullmatch(authority):
            raise InputNotAllowed("the URI names no bucket: s3://bucket/key")
        return Location(scheme, authority, _checked(path))
    path = _checked(path)
    decoded = _decoded(path, once=scheme == "sftp")
    text = quote(path, safe=_WEB_SAFE) if scheme != "sftp" else decoded
    return Location(scheme, _authority(scheme, authority), slash + text if text else "", query_string)


def segment(name: str) -> str:
    """A name as one path part: never `.`, `..` or a draft's name, and never the part of another name."""
    part = quote(name, safe=":", errors="surrogatepass")
    if not part.strip(".") or part.endswith(".part"):
        head, _, tail = part.rpartition(".")
        part = f"{head}%2E{tail}" if part else "%"
    if len(part) > _NAME_LIMIT:
        part = f"{part[:100]}~{hashlib.sha256(part.encode()).hexdigest()}"
    return part


def _authority(scheme: str, authority: str) -> str:
    try:
        parsed = urlsplit(f"//{authority}")
        host, port = parsed.hostname or "", parsed.port
        if authority.startswith("["):
            host = f"[{IPv6Address(host)}]"
    except ValueError:
        raise InputNotAllowed("the URI's host or port cannot be read") from None
    if not authority.startswith("[") and not _HOST.fullmatch(host):
        raise InputNotAllowed("the URI's host must be written in ASCII letters, digits, dots and hyphens")
    return host if port in {None, _PORTS[scheme]} else f"{host}:{port}"


def _checked(path: str) -> str:
    """The path without `/` at its end, if all its parts are names."""
    path = path.removesuffix("/")
    if path and any(part in {"", ".", ".."} for part in path.split("/")):
        raise InputNotAllowed("the path must not have empty parts, `.` or `..`")
    return path


def _decoded(path: str, *, once: bool) -> str:
    """Return the percent-decoded path if it is safe; for HTTP also if a server decodes it once more."""
    if _BROKEN_PERCENT.search(path):
        raise InputNotAllowed("a % in the path must be followed by two hex digits, write %25")
    decoded = text = _unquoted(path)
    while True:
        if text.count("/") != path.count("/") or "\\" in text or _CONTROL.search(text):
            raise InputNotAllowed("the path must not hold an encoded slash, backslash or control character")
        _checked(text)
        if once or (again := _unquoted(text)) == text:
            return decoded
        text = again


def _unquoted(path: str) -> str:
    try:
        return unquote_to_bytes(path).decode()
    except UnicodeDecodeError:
        raise InputNotAllowed("the path is not valid UTF-8") from None


def _parts(location: Location) -> list[str]:
    path = location.path
    if location.scheme in {"https", "http"}:
        path = unquote_to_bytes(path).decode()
    return [part for part in path.split("/") if part]
