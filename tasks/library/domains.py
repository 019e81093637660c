"""Finished domains by name: found, opened as what draws pictures, and mixed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from nada.errors import CheckpointError, ParamsError, ParentError, ShapeError, nearest, quoted
from nada.generators.domain import Domain
from nada.generators.light.generator import LightGenerator, mixed
from nada.generators.registry import Network
from nada.methods.models import Clips, Models
from tasks.config.model import Params
from tasks.config.params import load_params
from tasks.config.project import HERE
from tasks.library.shared_bases import base_network, base_sha256
from tasks.store import base_models, pretrained, row_folder
from tasks.store.record import GENERATOR, MAKING_NAME, Making, RecordError
from tasks.variants.names import domain_of, variant_of

SOURCE = "source"
Part = tuple[str, float]
"""A domain and its share in a mix."""


def open_domain(domain: str, params_path: Path, device: str) -> Domain:
    """What draws a finished domain's pictures, or the source's.

    Raises:
        CheckpointError: no such domain, or its files are damaged.
        ParamsError: no such device.
    """
    params = load_params(params_path)
    with _helping(device):
        if domain == SOURCE:
            return models_of(params, device, pretrained.prepare(params)).source
        return _open_finished(domain, params, device)


def open_source(domains: Sequence[str], params_path: Path, device: str) -> Domain:
    """The pretrained generator that all of these domains were made from; without any, that of `generator.weights`.

    Raises:
        CheckpointError: no such domain, or the generator is gone.
        ParamsError: they were made from different ones, so that no change of weights or latent means the same in both;
            or no such device.
    """
    params = load_params(params_path)
    today = pretrained.prepare_file(params.generator.weights, params)
    origins = {name: made_from(name, params) for name in domains}
    first, sha256 = next(iter(origins.items()), (SOURCE, today.sha256))
    if other := next((name for name in origins if origins[name] != sha256), None):
        raise ParamsError(f"{first} and {other}: made from different generators; name domains of one generator")
    with _helping(device):
        if sha256 == today.sha256:
            return models_of(params, device, today.path).source
        if (path := base_models.find(sha256, base_sha256)) is None:
            raise ParentError(
                f"{HERE.adapted / first}: made from the generator with sha256 {sha256}, which is in none of "
                f"{HERE.base_models}, {HERE.pretrained}; copy that file into one of them"
            )
        return models_of(params, device, path).source


def made_from(domain: str, params: Params) -> str:
    """sha256 of the pretrained generator behind a finished domain, or of today's.

    Raises:
        CheckpointError: no such domain is finished, or the generator cannot be read.
    """
    recorded = None if domain == SOURCE else find_making(domain).provenance.get(GENERATOR)
    return recorded or pretrained.prepare_file(params.generator.weights, params).sha256


@contextmanager
def _helping(device: str) -> Iterator[None]:
    """Say what to do where a generator or a device is missing."""
    try:
        yield
    except ParentError as err:
        raise ParentError(
            f"{err}; `nada pretrained` makes it from the generator.weights of that time, `dvc checkout` or `dvc pull` "
            f"bring it back if it was versioned"
        ) from err
    except (RuntimeError, AssertionError) as err:  # torch's answers to an unknown or absent device
        raise ParamsError(f"--device: {device!r} cannot be used ({str(err).splitlines()[0]}); try cpu") from err


def _open_finished(domain: str, params: Params, device: str) -> Domain:
    making, folder = find_making(domain), HERE.adapted / domain
    models = models_of(params, device, _base_of(making))
    if making.row.on is not None:
        models.open_source = partial(_open_source, making, params, device)
    opened: Domain = making.method_object.open(folder, models)
    return opened


def _base_of(making: Making) -> Path | None:
    """The pretrained generator that a row's files build on, if it is here.

    Raises:
        ParentError: it is not, and nobody else would notice: no file of the row tells which one it was.
    """
    for sha256 in making.bases[:1]:
        if (found := base_models.find(sha256, base_sha256)) is None and making.method_object.weights_name is None:
            raise ParentError(
                f"{HERE.adapted / making.domain}: builds on the generator with sha256 {sha256}, which is in none of "
                f"{HERE.base_models}, {HERE.pretrained}; copy that file into one of them"
            )
        return found
    return None


def _open_source(making: Making, params: Params, device: str) -> Domain:
    """The other row's result that a row started from.

    Raises:
        CheckpointError: it is another one now.
    """
    other = making.row.on
    assert other is not None
    if find_making(other).key != making.on_key:
        raise CheckpointError(
            f"{making.domain}: starts from {other!r}, which was made anew since; nada run makes {making.domain} again"
        )
    return _open_finished(other, params, device)


def models_of(params: Params, device: str, base_path: Path | None = None) -> Models:
    """What finished domains are opened with; without a path, that of `generator.weights`."""
    path = base_path or HERE.pretrained / "generator.safetensors"
    return Models(
        base_path=path,
        base_name=Path(params.generator.weights).name,
        clips=Clips(params.guide, params.judge, device),
        samples=params.samples,
        open_base=partial(base_network, path, device),
        sha256_of=base_sha256,
    )


def open_generator(domain: str, params_path: Path, device: str) -> Network | LightGenerator:
    """The same, of a domain that is a generator: with weights of its own, or light.

    Raises:
        CheckpointError, ParamsError: see `open_domain`; it is no generator.
    """
    check_generator(domain)
    opened = open_domain(domain, params_path, device)
    assert isinstance(opened, Network | LightGenerator), f"{domain}: its method says that it leaves a generator"
    return opened


def check_generator(domain: str) -> None:
    """Refuse a domain that left no generator.

    Raises:
        CheckpointError: see `find_making` and `weights_name`.
    """
    if domain != SOURCE:
        weights_name(find_making(domain))


def open_mix(parts: Sequence[Part], params_path: Path, device: str) -> Network | LightGenerator:
    """A generator between domains: their source plus a share of each domain's change; of light ones a light one.

    Raises:
        CheckpointError, ParamsError: see `open_generator` and `open_source`.
    """
    for domain, _ in parts:
        check_generator(domain)
    source = open_source([domain for domain, _ in parts], params_path, device)
    assert isinstance(source, Network)
    try:
        return mixed(source, [(open_generator(domain, params_path, device), share) for domain, share in parts])
    except ShapeError as err:
        raise ParamsError(f"{', '.join(domain for domain, _ in parts)}: {err}") from err


def parse_part(text: str) -> Part:
    """`sketch:0.6` -> a domain and its share; a name alone has the share 1.

    >>> parse_part("pencil-sketch:0.6"), parse_part("sepia")
    (('pencil-sketch', 0.6), ('sepia', 1.0))

    Raises:
        ParamsError: the share is no finite number.
    """
    domain, colon, share = text.partition(":")
    try:
        value = float(share) if colon else 1.0
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ParamsError(f"{text!r}: the share is no number; write DOMAIN:SHARE, such as sketch:0.6")
    return domain, value


def finished_domains() -> list[str]:
    """Names of the domains that are there, sorted; of their variants, `variants_of` tells."""
    return [name for name in _finished() if not variant_of(name)]


def variants_of(domain: str) -> list[str]:
    """Names of the rows of a domain that has several, sorted."""
    return [name for name in _finished() if variant_of(name) and domain_of(name) == domain]


def _finished() -> list[str]:
    names = [path.parent.name for path in HERE.adapted.glob(f"*/{MAKING_NAME}")]
    return sorted(name for name in names if not name.startswith("."))


def find_making(domain: str) -> Making:
    """How a finished domain was made.

    Raises:
        CheckpointError: no such domain is finished, or its record is damaged.
    """
    finished = finished_domains()
    if domain not in _finished():
        known = [SOURCE, *finished]
        others = f"finished are {quoted(finished)}, and 'source'" if finished else f"there is {SOURCE!r} alone yet"
        hint = nearest(domain, known) or f"; {others}"
        raise CheckpointError(f"{HERE.adapted}: no finished domain {domain!r}{hint}")
    try:
        return row_folder.read_making(domain)
    except RecordError as err:
        raise CheckpointError(f"{err}; nada run makes {domain} again") from err


def find_weights(domain: str, params_path: Path) -> Path:
    """The generator's file of a finished domain, or of the source.

    Raises:
        CheckpointError: no such domain is finished, or it left no generator.
    """
    if domain == SOURCE:
        return pretrained.prepare(load_params(params_path))
    return HERE.adapted / domain / weights_name(find_making(domain))


def weights_name(making: Making) -> str:
    """The generator's file among those of a row.

    Raises:
        CheckpointError: its method leaves none.
    """
    name: str | None = making.method_object.weights_name
    if name is None:
        raise CheckpointError(
            f"{making.domain}: made by {making.method!r}, which leaves no generator that could be exported or mixed; "
            f"nada sample {making.domain} draws it"
        )
    return name


def finished_generators() -> tuple[list[str], list[str]]:
    """Names of the domains that left a generator, and of those that left something else."""
    names = finished_domains()
    left = [name for name in names if find_making(name).method_object.weights_name is not None]
    return left, [name for name in names if name not in left]
