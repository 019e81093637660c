"""Text-guided adaptation of StyleGAN generators (StyleGAN-NADA, arXiv:2108.00946), in plain PyTorch.

What a newcomer needs is here by name; each is imported at its first use, so that `import nada` costs nothing.

>>> import nada
>>> nada.AdaptConfig(iterations=3).iterations
3
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nada.checkpoints import load_generator, read_any, save_generator
    from nada.clip.goal import Goal, PromptPair
    from nada.clip.guide import Guide
    from nada.clip.loading import load_clip, load_guide
    from nada.clip.losses import directional_loss, global_loss
    from nada.config import ClipConfig, GuideClipConfig, GuideConfig, ViewsConfig
    from nada.errors import NadaError
    from nada.generators.domain import Domain
    from nada.generators.protocol import Generator
    from nada.images import grid, save_png, to_u8
    from nada.inversion.config import InversionConfig
    from nada.inversion.inversion import Inversion
    from nada.inversion.perceptual import ClipFeatures, LpipsFeatures
    from nada.judge import Judge, SetFeatures, retrieve, score_domain
    from nada.judge.samples import fixed_latents, render
    from nada.latent_files import read_latents, write_latents
    from nada.latents import draw_ws, draw_z, seeded_rng
    from nada.methods.adapt.config import AdaptConfig, SelectionConfig
    from nada.methods.adapt.loop import Adaptation
    from nada.methods.adapt.parametrisation import begin_target
    from nada.methods.directions.channels import Channels
    from nada.methods.directions.config import ChannelsConfig
    from nada.methods.directions.edit import global_direction
    from nada.methods.directions.measuring import measure_channels
    from nada.methods.edited_domain import EditedDomain, MovedLatents
    from nada.methods.mapper.config import MapperConfig
    from nada.methods.mapper.loop import MapperTraining
    from nada.methods.moved_styles import offset_domain
    from nada.methods.optimise.config import OptimiseConfig
    from nada.methods.optimise.loop import Optimisation
    from nada.picture_files import read_photo

__all__ = [
    "AdaptConfig",
    "Adaptation",
    "Channels",
    "ChannelsConfig",
    "ClipConfig",
    "ClipFeatures",
    "Domain",
    "EditedDomain",
    "Generator",
    "Goal",
    "Guide",
    "GuideClipConfig",
    "GuideConfig",
    "Inversion",
    "InversionConfig",
    "Judge",
    "LpipsFeatures",
    "MapperConfig",
    "MapperTraining",
    "MovedLatents",
    "NadaError",
    "Optimisation",
    "OptimiseConfig",
    "PromptPair",
    "SelectionConfig",
    "SetFeatures",
    "ViewsConfig",
    "begin_target",
    "directional_loss",
    "draw_ws",
    "draw_z",
    "fixed_latents",
    "global_direction",
    "global_loss",
    "grid",
    "load_clip",
    "load_generator",
    "load_guide",
    "measure_channels",
    "offset_domain",
    "read_any",
    "read_latents",
    "read_photo",
    "render",
    "retrieve",
    "save_generator",
    "save_png",
    "score_domain",
    "seeded_rng",
    "to_u8",
    "write_latents",
]

_NAMES_BY_MODULE = {
    "nada.checkpoints": "load_generator read_any save_generator",
    "nada.clip.goal": "Goal PromptPair",
    "nada.clip.guide": "Guide",
    "nada.clip.loading": "load_clip load_guide",
    "nada.clip.losses": "directional_loss global_loss",
    "nada.config": "ClipConfig GuideClipConfig GuideConfig ViewsConfig",
    "nada.errors": "NadaError",
    "nada.generators.domain": "Domain",
    "nada.generators.protocol": "Generator",
    "nada.images": "grid save_png to_u8",
    "nada.inversion.config": "InversionConfig",
    "nada.inversion.inversion": "Inversion",
    "nada.inversion.perceptual": "ClipFeatures LpipsFeatures",
    "nada.judge": "Judge SetFeatures retrieve score_domain",
    "nada.judge.samples": "fixed_latents render",
    "nada.latent_files": "read_latents write_latents",
    "nada.latents": "draw_ws draw_z seeded_rng",
    "nada.methods.adapt.config": "AdaptConfig SelectionConfig",
    "nada.methods.adapt.loop": "Adaptation",
    "nada.methods.adapt.parametrisation": "begin_target",
    "nada.methods.directions.channels": "Channels",
    "nada.methods.directions.config": "ChannelsConfig",
    "nada.methods.directions.edit": "global_direction",
    "nada.methods.directions.measuring": "measure_channels",
    "nada.methods.edited_domain": "EditedDomain MovedLatents",
    "nada.methods.mapper.config": "MapperConfig",
    "nada.methods.mapper.loop": "MapperTraining",
    "nada.methods.moved_styles": "offset_domain",
    "nada.methods.optimise.config": "OptimiseConfig",
    "nada.methods.optimise.loop": "Optimisation",
    "nada.picture_files": "read_photo",
}
"""The imports above once more, for whoever runs this."""
_MODULES = {name: module for module, names in _NAMES_BY_MODULE.items() for name in names.split()}


if not TYPE_CHECKING:  # type checkers would take it for a promise of any name

    def __getattr__(name: str) -> Any:
        """A name of the API, imported when it is asked for (PEP 562)."""
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = globals()[name] = getattr(import_module(_MODULES[name]), name)
        return found


def __dir__() -> list[str]:
    """With the names that nobody asked for yet."""
    return sorted({*globals(), *__all__})
