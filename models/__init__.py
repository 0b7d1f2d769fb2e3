"""The networks of virtual try-on: PF-AFN, FS-VTON, RMGN and DM-VTON, by name, and the pipeline that dresses a person."""

from models.outputs import GarmentCode, PersonCode, TryOn, WarpLevel, WarpOutput
from models.pipeline import TryOnPipeline, compose
from models.registry import FAMILIES, create_generator, create_warp

__all__ = [
    'FAMILIES',
    'GarmentCode',
    'PersonCode',
    'TryOn',
    'TryOnPipeline',
    'WarpLevel',
    'WarpOutput',
    'compose',
    'create_generator',
    'create_warp',
]
