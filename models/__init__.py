"""The networks of virtual try-on by name (PF-AFN, FS-VTON, RMGN, DM-VTON), and the pipeline around them."""

from models.composition import compose
from models.interface import TryOnModel
from models.outputs import GarmentCode, PersonCode, TryOn, WarpLevel, WarpOutput
from models.pipeline import TryOnPipeline
from models.registry import FAMILIES, create_generator, create_warp

__all__ = [
    'FAMILIES', 'GarmentCode', 'PersonCode', 'TryOn', 'TryOnModel', 'TryOnPipeline', 'WarpLevel',
    'WarpOutput', 'compose', 'create_generator', 'create_warp',
]  # fmt: skip
