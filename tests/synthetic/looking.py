"""What tests of drawings look at: garments through a flow, masks without their rims."""

import cv2
import numpy as np


def flow_pixels(flow: np.ndarray) -> np.ndarray:
    """Normalised flow [2, H, W] -> pixel (x, y) [H, W, 2], far outside where there is no garment."""
    height, width = flow.shape[1:]
    return np.nan_to_num(
        (flow + 1) * np.float32([(width - 1) / 2, (height - 1) / 2])[:, None, None], nan=-99
    ).transpose(1, 2, 0)


def look_through(image: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """An image sampled at a flow, bilinear."""
    return cv2.remap(image, flow_pixels(flow).astype(np.float32), None, cv2.INTER_LINEAR)


def inner(mask: np.ndarray) -> np.ndarray:
    """A mask without its rim of two pixels."""
    return cv2.erode(mask.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
