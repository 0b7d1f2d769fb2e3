"""Picture metrics by the libraries that define them: FID (pytorch-fid), LPIPS (lpips), SSIM and PSNR (torchmetrics).

Protocols are those of DM-VTON (Nguyen-Ngoc et al., ISMAR 2023), section 4: FID (Heusel et al., NeurIPS 2017), LPIPS (Zhang et
al., CVPR 2018), SSIM (Wang et al., TIP 2004).
"""

import contextlib
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from data.records import read_picture
from utils.errors import CheckpointError, MissingFileError
from utils.paths import expand

FID_DIMENSIONS = 2048
PSNR_CEILING = 100.0  # dB; rounding to 8 bits alone leaves 59


class WeightsUnavailable(Exception):
    """The network behind a metric could not be fetched; the message says why and which option supplies it."""


def load_picture(path: Path, size: tuple[int, int] | None = None) -> Tensor:
    """Read a picture file as [1, 3, H, W] in [-1, 1], as the pipeline sees it, resized (bicubic) to another `size` (H, W).

    Raises `DataError` for a file that is no picture.
    """
    picture = read_picture(path)
    if size is not None and picture.size != size[::-1]:
        picture = picture.resize(size[::-1], Image.Resampling.BICUBIC)
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float() / 127.5 - 1


def check_file(path: str | Path, option: str) -> Path:
    """Return `path`, given as `option`, if a file is there; else raise `MissingFileError`."""
    path = expand(path)
    if not os.path.isfile(path):
        raise MissingFileError(f'{option} {path}: no such file; give the weights as the library publishes them')
    return path


@contextlib.contextmanager
def _fetching(option: str, path: str | Path | None) -> Iterator[None]:
    """Turn what a library raises while it fetches and reads weights into one line."""
    try:
        yield
    except Exception as error:  # a damaged pickle can raise anything
        reason = ' '.join(str(error).split())[:120]
        if path is not None:
            raise CheckpointError(f'{option} {path}: not the weights that are needed ({reason})') from error
        if isinstance(error, OSError):  # no network, a full disk, a refused address
            raise WeightsUnavailable(f'the weights cannot be downloaded ({error}); give them by {option} PATH') from error
        raise WeightsUnavailable(f'the cached weights cannot be read ({reason}); give others by {option} PATH') from error


@contextlib.contextmanager
def _hub_file(url: str, path: Path | None) -> Iterator[None]:
    """While the block runs, let PyTorch's hub find `path` where it would look for the file of `url`."""
    if path is None:
        yield
        return
    before = torch.hub.get_dir()
    with tempfile.TemporaryDirectory() as folder:
        checkpoints = Path(folder) / 'checkpoints'
        checkpoints.mkdir()
        target = checkpoints / url.rsplit('/', 1)[-1]
        try:
            target.symlink_to(path.resolve())
        except OSError:  # no links on this file system
            shutil.copyfile(path, target)
        torch.hub.set_dir(folder)
        try:
            yield
        finally:
            torch.hub.set_dir(before)


def create_fid(*, weights: str | Path | None = None, device: torch.device) -> Callable[[Path, Path], float]:
    """Return a function of two folders: the Frechet Inception Distance of their pictures, 2048-dimensional.

    `weights` is pytorch-fid's Inception file; None fetches it by the library's way. Raises `WeightsUnavailable` where that fails,
    `MissingFileError` or `CheckpointError` for a wrong `weights`.
    """
    from pytorch_fid import fid_score, inception

    path = None if weights is None else check_file(weights, '--fid_weights')
    with _fetching('--fid_weights', path), _hub_file(inception.FID_WEIGHTS_URL, path):
        # Read once without running code; the library itself would run what a pickle says.
        torch.hub.load_state_dict_from_url(inception.FID_WEIGHTS_URL, map_location='cpu', weights_only=True)
        network = inception.InceptionV3([inception.InceptionV3.BLOCK_INDEX_BY_DIM[FID_DIMENSIONS]]).to(device)

    def statistics(folder: Path) -> tuple[np.ndarray, np.ndarray]:
        # One by one: pictures of several sizes cannot share a batch.
        with torch.no_grad():
            pictures = (load_picture(file).to(device) / 2 + 0.5 for file in picture_files(folder))
            features = [network(picture)[0].flatten().double().cpu().numpy() for picture in pictures]
        return np.mean(features, axis=0), np.cov(features, rowvar=False)

    def distance(real: Path, made: Path) -> float:
        return float(fid_score.calculate_frechet_distance(*statistics(real), *statistics(made)))

    return distance


def picture_files(folder: Path) -> list[Path]:
    """The pictures of a folder by their suffixes, sorted; hidden files are none."""
    from pytorch_fid.fid_score import IMAGE_EXTENSIONS

    files = (file for file in folder.iterdir() if not file.name.startswith('.') and file.is_file())
    return sorted(file for file in files if file.suffix.lower().lstrip('.') in IMAGE_EXTENSIONS)


def create_lpips(*, weights: str | Path | None = None, device: torch.device) -> Callable[..., float]:
    """Return a function of two pictures [1, 3, H, W] in [-1, 1]: their LPIPS distance, VGG trunk, version 0.1.

    The function takes a region, bool [1, 1, H, W], as an optional third: then it returns the mean over it of the library's map of
    distances, in which each pixel still sees its surroundings. `weights` is torchvision's ImageNet VGG16 file; None fetches it by
    torchvision's way. Raises as `create_fid`.
    """
    import lpips
    from torchvision.models import VGG16_Weights

    path = None if weights is None else check_file(weights, '--lpips_weights')
    with warnings.catch_warnings():
        warnings.filterwarnings('ignore', module='torchvision')  # lpips says `pretrained=False` in torchvision's old words
        network = lpips.LPIPS(net='vgg', version='0.1', pnet_rand=True, verbose=False)
    with _fetching('--lpips_weights', path):
        if path is None:
            trunk = VGG16_Weights.IMAGENET1K_V1.get_state_dict(progress=True, check_hash=True)
        else:
            trunk = torch.load(path, map_location='cpu', weights_only=True)
        state = network.net.state_dict()  # the same layers under 'slice1.0.weight' instead of 'features.0.weight'
        network.net.load_state_dict({key: trunk['features.' + key.split('.', 1)[1]] for key in state})
    network = network.to(device).eval()

    def distance(first: Tensor, second: Tensor, region: Tensor | None = None) -> float:
        network.spatial = region is not None  # the library reads it at each call
        with torch.no_grad():
            distances = network(first.to(device), second.to(device))  # [1, 1, 1, 1]; with a region [1, 1, H, W]
        return (distances if region is None else distances[region.to(device)]).mean().item()

    return distance


def ssim(first: Tensor, second: Tensor, region: Tensor | None = None) -> float:
    """Structural similarity of two pictures [1, 3, H, W] in [-1, 1]; 1 is identical.

    With a `region`, bool [1, 1, H, W], the mean of the library's map over it. Each pixel of the map sees a window of 11 x 11.
    """
    from torchmetrics.functional.image import structural_similarity_index_measure

    # Defined for intensities from 0 on: around 0 its comparison of means falls apart. In float32 the variance of white is noise.
    first, second = ((picture.double() + 1) / 2 for picture in (first, second))
    value, values = structural_similarity_index_measure(first, second, data_range=1.0, return_full_image=True)
    return (value if region is None else values[region.expand_as(values)].mean()).item()


def psnr(first: Tensor, second: Tensor, region: Tensor | None = None) -> float:
    """Peak signal-to-noise ratio, dB, of two pictures [1, 3, H, W] in [-1, 1], or of a `region`, bool [1, 1, H, W], of them.

    At most `PSNR_CEILING`, which identical pictures get, so that a mean over pictures stays a number.
    """
    from torchmetrics.functional.image import peak_signal_noise_ratio

    if region is not None:
        first, second = (picture[region.expand_as(picture)] for picture in (first, second))
    return min(peak_signal_noise_ratio(first, second, data_range=2.0).item(), PSNR_CEILING)


def mean_over(pairs: Iterable[tuple[Path, Path]], distance: Callable[[Tensor, Tensor], float]) -> float:
    """Mean of `distance(picture, try-on)` over pairs of files; a picture of another size than its try-on is resized to it."""
    values = []
    for picture, tryon in pairs:
        second = load_picture(tryon)
        values.append(distance(load_picture(picture, tuple(second.shape[2:])), second))
    return float(np.mean(values))
