"""What the page asks for: pictures, sheets, weights, and photos to invert; all by the library's own objects."""

from __future__ import annotations

import asyncio
import io
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from flows.app.guard import Guard, Surprises
from flows.app.photos import MOST_BYTES, STEPS, Photos, steps_of
from nada.errors import NadaError, ParamsError
from tasks.config.params import load_params
from tasks.gallery.about import licence_of
from tasks.library.domains import SOURCE, Part, parse_part
from tasks.library.latents import CHUNK, Shown
from tasks.library.studio import Studio, parse_number

PAGE = Path(__file__).with_name("page")
FILES = {
    "/": ("index.html", "text/html"),
    "/app.css": ("app.css", "text/css"),
    "/app.js": ("app.js", "text/javascript"),
}
FORMATS = (".safetensors", ".pkl", ".pt", ".onnx")
QUALITY = 90  # of the WebP that the page shows; downloads are PNG
MOST_PARTS = 8
NOBODY = 499  # the page asks for something else by now
Got = TypeVar("Got")


class Server:
    """The app's answers.

    Args:
        studio: draws.
        title: of the page.
    """

    def __init__(self, studio: Studio, title: str) -> None:
        self.studio, self.title = studio, title
        self.photos = Photos(studio)
        self._turn = asyncio.Lock()

    def application(self, names: Collection[str]) -> ASGIApp:
        """As ASGI.

        Args:
            names: that it answers by; any where there are none.
        """
        answers: dict[str, tuple[str, Callable[[Request], Awaitable[Response]]]] = {
            "/api/library": ("GET", self.library), "/api/picture": ("GET", self.picture),
            "/api/grid": ("GET", self.grid), "/api/strip": ("GET", self.strip), "/api/export": ("GET", self.export),
            "/api/photo": ("POST", self.upload), "/api/photo/{number}": ("GET", self.photo),
            "/api/photo/{number}/stop": ("POST", self.stop), "/api/photo/{number}/picture": ("GET", self.cut),
        }  # fmt: skip
        routes = [Route(path, answer, methods=[method]) for path, (method, answer) in answers.items()]
        routes += [Route(path, partial(_file, *file)) for path, file in FILES.items()]
        handlers: dict[Any, Any] = {NadaError: _refused, HTTPException: _http, ClientDisconnect: _gone}
        made = Starlette(routes=routes, exception_handlers=handlers, lifespan=self._lifespan)
        made.add_middleware(Surprises)
        return Guard(made, names)

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        yield
        self.photos.close()

    async def library(self, request: Request) -> Response:
        """What there is to choose from."""
        return JSONResponse(await self._in_turn(request, self._library))

    def _library(self) -> dict[str, Any]:
        licence = licence_of(load_params(self.studio.params_path))
        return {
            "title": self.title,
            "resolution": self.studio.resolution(),
            "origin": self.studio.origin(),
            "looks": [asdict(look) for look in self.studio.looks()],
            "formats": FORMATS,
            "steps": {name: config.w_steps + config.plus_steps for name, config in STEPS.items()},
            "licence": "" if licence is None else f"{licence.name}: {licence.licence}",
        }

    async def picture(self, request: Request) -> Response:
        """One picture, `at` a place among the latents."""
        parts, shown = self._parts(request), self._shown(request)
        at = int(parse_number("at", request.query_params.get("at", "0"), 0, CHUNK - 1))
        self.studio.check(parts, shown)
        image = await self._in_turn(request, partial(self.studio.picture, parts, shown, at))
        if "download" not in request.query_params:
            return _image(image, "WEBP", {"quality": QUALITY})
        return _image(image, "PNG", {"optimize": True}, f"{_name(parts)}-{at}.png")

    async def grid(self, request: Request) -> Response:
        """All the latents as `nada mix` writes them."""
        from tasks.library.sample import sample_grid

        parts, shown = self._parts(request), self._shown(request)
        self.studio.check(parts, shown)
        return await self._written(
            request, f"{_name(parts)}.png", lambda path: sample_grid(self.studio.open(parts), shown, path)
        )

    async def strip(self, request: Request) -> Response:
        """A row a domain as `nada strip` writes them."""
        from tasks.library.sample import strip

        names, shown = [name for name, _ in self._parts(request)], self._shown(request)
        studio = self.studio
        return await self._written(
            request, "strip.png", lambda path: strip(names, studio.params_path, shown, studio.device, path)
        )

    async def export(self, request: Request) -> Response:
        """A domain or a mix as a file of weights."""
        parts, suffix = self._parts(request), request.query_params.get("format", "")
        if suffix not in FORMATS:
            raise ParamsError(f"format: {suffix!r}; expected one of {', '.join(FORMATS)}")
        return await self._written(request, f"{_name(parts)}{suffix}", partial(self._export, parts))

    def _export(self, parts: list[Part], path: Path) -> None:
        from nada.checkpoints import write_any
        from nada.checkpoints.onnx.export import save_onnx
        from nada.generators.light.generator import LightGenerator, whole
        from nada.generators.registry import Network
        from tasks.library.domains import check_generator

        if path.suffix == ".onnx":
            on_cpu = self.studio if self.studio.device == "cpu" else Studio(self.studio.params_path, "cpu")
            save_onnx(path, on_cpu.open(parts), {"domain": _name(parts), "generator_sha256": on_cpu.origin()})
            return
        opened = self.studio.open(parts)
        for name, _ in parts:
            check_generator(name)
        assert isinstance(opened, Network | LightGenerator)
        write_any(path, whole(opened))

    async def upload(self, request: Request) -> Response:
        """A photo, as the body of the request."""
        config, content = steps_of(request.query_params.get("steps", "quick")), bytearray()
        async for chunk in request.stream():
            content += chunk
            if len(content) > MOST_BYTES:
                raise HTTPException(413, f"the photo has more than {MOST_BYTES >> 20} MB; save it smaller")
        return JSONResponse({"id": self.photos.start(bytes(content), config)})

    async def photo(self, request: Request) -> Response:
        """How far a photo is."""
        return JSONResponse(self.photos.find(request.path_params["number"]).told())

    async def stop(self, request: Request) -> Response:
        """Give a photo up."""
        self.photos.find(request.path_params["number"]).is_stopped = True
        return JSONResponse({})

    async def cut(self, request: Request) -> Response:
        """The photo as the generator is to draw it."""
        if (picture := self.photos.find(request.path_params["number"]).picture) is None:
            raise HTTPException(404, "the photo was not read yet")
        return _image(picture, "WEBP", {"quality": QUALITY})

    def _parts(self, request: Request) -> list[Part]:
        parts = [parse_part(text) for text in request.query_params.getlist("look")]
        if len(parts) > MOST_PARTS:
            raise ParamsError(f"{len(parts)} looks; at most {MOST_PARTS} are mixed")
        return [part for part in parts if part[0] != SOURCE]

    def _shown(self, request: Request) -> Shown:
        asked = request.query_params
        psi = parse_number("psi", asked.get("psi", "0.7"), 0, 2)
        if photo := asked.get("photo"):
            return Shown(path=self.photos.latents(photo), psi=parse_number("psi", asked.get("psi", "1"), 0, 2))
        seed = int(parse_number("seed", asked.get("seed", "0"), 0, 2**31 - 1))
        count = int(parse_number("count", asked.get("count", str(CHUNK)), 1, CHUNK))
        return Shown(count=count, seed=seed, psi=psi)

    async def _in_turn(self, request: Request, work: Callable[[], Got]) -> Got:
        """One at a time, unless nobody waits for it any more."""
        async with self._turn:
            if await request.is_disconnected():
                raise HTTPException(NOBODY, "asked for something else by now")
            return await run_in_threadpool(work)

    async def _written(self, request: Request, name: str, write: Callable[[Path], object]) -> Response:
        """A file to download, forgotten once it is sent."""
        folder = tempfile.TemporaryDirectory(prefix="nada-app-")
        path = Path(folder.name) / name
        try:
            with_lock = partial(self._locked, write, path)
            await self._in_turn(request, with_lock)
        except BaseException:
            folder.cleanup()
            raise
        return FileResponse(path, filename=name, background=BackgroundTask(folder.cleanup))

    def _locked(self, write: Callable[[Path], object], path: Path) -> None:
        with self.studio.lock:
            write(path)


def _name(parts: list[Part]) -> str:
    """Of a file: `sketch`, or `sketch-60-sepia-40` of a mix."""
    if len(parts) == 1 and parts[0][1] == 1.0:
        return parts[0][0]
    return "-".join(f"{name}-{share * 100:.0f}" for name, share in parts) or SOURCE


def _image(image: Any, kind: str, options: dict[str, Any], name: str = "") -> Response:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    headers = {"content-disposition": f'attachment; filename="{name}"'} if name else {"cache-control": "max-age=600"}
    return Response(buffer.getvalue(), media_type=f"image/{kind.lower()}", headers=headers)


async def _file(name: str, kind: str, _: Request) -> Response:
    return Response((PAGE / name).read_text(encoding="utf-8"), media_type=kind)


async def _refused(_: Request, err: Exception) -> Response:
    return JSONResponse({"error": str(err)}, 400)


async def _http(_: Request, err: Exception) -> Response:
    assert isinstance(err, HTTPException)
    return JSONResponse({"error": err.detail}, err.status_code)


async def _gone(_: Request, err: Exception) -> Response:
    return Response(status_code=NOBODY)
