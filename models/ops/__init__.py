"""Operations that the networks are made of: the cost volume, and sampling at a flow."""

from models.ops.correlation import correlation

__all__ = ['correlation']
