"""The networks of virtual try-on: PF-AFN, FS-VTON, RMGN and DM-VTON, by name, and the pipeline that dresses a
person.
"""

from models.interface import TryOnModel
from models.outputs import GarmentCode, PersonCode, TryOn, WarpLevel, WarpOutput
from models.pipeline import TryOnPipeline, compose
from models.registry import FAMILIES, create_generator, create_warp

__all__ = [
    'FAMILIES',
    'GarmentCode',
    'PersonCode',
    'TryOn',
    'TryOnModel',
    'TryOnPipeline',
    'WarpLevel',
    'WarpOutput',
    'compose',
    'create_generator',
    'create_warp',
]
