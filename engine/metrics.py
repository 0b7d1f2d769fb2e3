"""Picture metrics by the libraries that define them.

FID (pytorch-fid; Heusel et al., NeurIPS 2017), KID (torchmetrics; Binkowski et al., ICLR 2018), LPIPS (lpips;
Zhang et al., CVPR 2018), SSIM (torchmetrics; Wang et al., TIP 2004), PSNR. Protocols are those of DM-VTON
(Nguyen-Ngoc et al., ISMAR 2023), section 4.
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
from torch import Tensor, nn

from data.records import read_picture
from utils.errors import CheckpointError, MissingFileError
from utils.paths import expand

FID_DIMENSIONS = 2048
FID_BATCH = 50  # the batch size of the published test script; no number depends on it in eval mode
KEPT_FOLDERS = 2  # whose features are kept: photographs and try-ons
KID_SUBSETS, KID_SUBSET_SIZE = 100, 1000  # those of the paper; fewer pictures make smaller subsets
PSNR_CEILING = 100.0  # dB; rounding to 8 bits alone leaves 59


class WeightsUnavailable(Exception):
    """The network behind a metric could not be fetched; the message says why and which option supplies it."""


def load_picture(path: Path, size: tuple[int, int] | None = None) -> Tensor:
    """Read a picture file as [1, 3, H, W] in [-1, 1], resized (bicubic) to `size` (H, W) if need be.

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
        raise MissingFileError(f'{option} {path}: no such file; give the weights that the library publishes')
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
        problem = f'the cached weights cannot be read ({reason}); give others'
        if isinstance(error, OSError):  # no network, a full disk, a refused address
            problem = f'the weights cannot be downloaded ({error}); give them'
        raise WeightsUnavailable(f'{problem} by {option} PATH') from error


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


class Inception:
    """Distances of two folders of pictures by pytorch-fid's Inception features.

    `network` is a `pytorch_fid.inception.InceptionV3` of 2048 features on `device`.
    """

    def __init__(self, network: nn.Module, *, device: torch.device):
        self.network = network.eval()
        self.device = device
        self._known: dict[tuple, np.ndarray] = {}  # features of the last folders, by file sizes and times

    def features(self, folder: Path) -> np.ndarray:
        """Features [N, 2048] of the pictures of a folder, by the library's own loading and its own pass.

        Computed once for an unchanged folder: FID, KID and the validations of several epochs share them.
        Raises OSError for a file that is no picture and `ValueError` for fewer than two pictures.
        """
        from pytorch_fid import fid_score

        files = picture_files(folder)
        if len(files) < 2:
            raise ValueError(
                f'{folder} has {len(files)} picture(s); a distance of distributions needs two or more'
            )
        key = tuple((file, file.stat().st_size, file.stat().st_mtime_ns) for file in files)
        features = self._known.pop(key, None)
        if features is None:
            # Pictures of several sizes do not fit in one batch.
            batch_size = min(FID_BATCH, len(files)) if len({_size_of(file) for file in files}) == 1 else 1
            features = fid_score.get_activations(
                files, self.network, batch_size, FID_DIMENSIONS, self.device, num_workers=0
            )
            if len(self._known) >= KEPT_FOLDERS:
                self._known.pop(next(iter(self._known)))  # the one that was not asked for the longest
        self._known[key] = features
        return features

    def fid(self, real: Path, made: Path) -> float:
        """Frechet Inception Distance of two folders, 0 for equal ones. Raises as `features`."""
        return frechet_distance(self.features(real), self.features(made))

    def kid(self, real: Path, made: Path) -> float:
        """Kernel Inception Distance of two folders, unbiased: it may be below 0. Raises as `features`."""
        return kernel_distance(self.features(real), self.features(made))


def create_inception(*, weights: str | Path | None = None, device: torch.device) -> Inception:
    """Return the Inception network that measures FID and KID.

    `weights` is pytorch-fid's Inception file; None fetches it by the library's way. Raises
    `WeightsUnavailable` where that fails, `MissingFileError` or `CheckpointError` for a wrong `weights`.
    """
    from pytorch_fid import inception

    path = None if weights is None else check_file(weights, '--fid_weights')
    with _fetching('--fid_weights', path), _hub_file(inception.FID_WEIGHTS_URL, path):
        # Read once without running code; the library itself would run what a pickle says.
        torch.hub.load_state_dict_from_url(inception.FID_WEIGHTS_URL, map_location='cpu', weights_only=True)
        network = inception.InceptionV3([inception.InceptionV3.BLOCK_INDEX_BY_DIM[FID_DIMENSIONS]]).to(device)
    return Inception(network, device=device)


def frechet_distance(real: np.ndarray, made: np.ndarray) -> float:
    """Frechet distance of the normal distributions of two sets of features [N, D] and [M, D].

    The trace of the covariances' geometric mean is the sum of the roots of the eigenvalues of their product,
    as in torchmetrics and clean-fid: pytorch-fid's matrix root needs an argument that SciPy has dropped.
    """
    difference = real.mean(axis=0) - made.mean(axis=0)
    first, second = (np.cov(features, rowvar=False) for features in (real, made))
    roots = np.sqrt(np.linalg.eigvals(first @ second).astype(complex)).real
    return float(difference @ difference + np.trace(first) + np.trace(second) - 2 * roots.sum())


def kernel_distance(real: np.ndarray, made: np.ndarray) -> float:
    """Maximum mean discrepancy of features [N, D] and [M, D] with torchmetrics' polynomial kernel, degree 3.

    Mean over `KID_SUBSETS` random subsets, always the same ones, of at most `KID_SUBSET_SIZE` features.
    """
    from torchmetrics.image.kid import KernelInceptionDistance

    size = min(len(real), len(made), KID_SUBSET_SIZE)
    with warnings.catch_warnings():
        warnings.filterwarnings('ignore', message='.*will save all extracted features')
        metric = KernelInceptionDistance(nn.Identity(), subsets=KID_SUBSETS, subset_size=size)
    metric.update(torch.from_numpy(real), real=True)
    metric.update(torch.from_numpy(made), real=False)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        return metric.compute()[0].item()


def _size_of(file: Path) -> tuple[int, int]:
    with Image.open(file) as picture:
        return picture.size


def picture_files(folder: Path) -> list[Path]:
    """The pictures of a folder by their suffixes, sorted; hidden files are none."""
    from pytorch_fid.fid_score import IMAGE_EXTENSIONS

    files = (file for file in folder.iterdir() if not file.name.startswith('.') and file.is_file())
    return sorted(file for file in files if file.suffix.lower().lstrip('.') in IMAGE_EXTENSIONS)


def create_lpips(*, weights: str | Path | None = None, device: torch.device) -> Callable[..., float]:
    """Return the LPIPS distance (VGG trunk, version 0.1) of two pictures [1, 3, H, W] in [-1, 1].

    The function takes a region, bool [1, 1, H, W], as an optional third: then it returns the mean over it of
    the library's map of distances, in which each pixel still sees its surroundings. `weights` is
    torchvision's ImageNet VGG16 file; None fetches it by torchvision's way. Raises as `create_inception`.
    """
    import lpips
    from torchvision.models import VGG16_Weights

    path = None if weights is None else check_file(weights, '--lpips_weights')
    with warnings.catch_warnings():
        # lpips says `pretrained=False` in torchvision's old words.
        warnings.filterwarnings('ignore', module='torchvision')
        network = lpips.LPIPS(net='vgg', version='0.1', pnet_rand=True, verbose=False)
    with _fetching('--lpips_weights', path):
        if path is None:
            trunk = VGG16_Weights.IMAGENET1K_V1.get_state_dict(progress=True, check_hash=True)
        else:
            trunk = torch.load(path, map_location='cpu', weights_only=True)
        # The same layers are called 'slice1.0.weight' instead of 'features.0.weight'.
        names = {key: 'features.' + key.split('.', 1)[1] for key in network.net.state_dict()}
        network.net.load_state_dict({key: trunk[name] for key, name in names.items()})
    network = network.to(device).eval()

    def distance(first: Tensor, second: Tensor, region: Tensor | None = None) -> float:
        network.spatial = region is not None  # the library reads it at each call
        with torch.no_grad():
            distances = network(first.to(device), second.to(device))  # [1, 1, 1, 1]; or [1, 1, H, W]
        return (distances if region is None else distances[region.to(device)]).mean().item()

    return distance


def ssim(first: Tensor, second: Tensor, region: Tensor | None = None) -> float:
    """Structural similarity of two pictures [1, 3, H, W] in [-1, 1]; 1 is identical.

    With a `region`, bool [1, 1, H, W]: the mean over it of the library's map, whose windows are 11 x 11.
    """
    from torchmetrics.functional.image import structural_similarity_index_measure

    # Defined for intensities from 0 on: around 0 its comparison of means falls apart. In float32 the variance
    # of white is noise.
    first, second = ((picture.double() + 1) / 2 for picture in (first, second))
    value, values = structural_similarity_index_measure(first, second, data_range=1.0, return_full_image=True)
    return (value if region is None else values[region.expand_as(values)].mean()).item()


def psnr(first: Tensor, second: Tensor, region: Tensor | None = None) -> float:
    """Peak signal-to-noise ratio, dB, of two pictures [1, 3, H, W] in [-1, 1], in a bool `region` of them.

    At most `PSNR_CEILING`, which identical pictures get, so that a mean over pictures stays a number.
    """
    from torchmetrics.functional.image import peak_signal_noise_ratio

    if region is not None:
        first, second = (picture[region.expand_as(picture)] for picture in (first, second))
    return min(peak_signal_noise_ratio(first, second, data_range=2.0).item(), PSNR_CEILING)


def mean_over(pairs: Iterable[tuple[Path, Path]], distance: Callable[[Tensor, Tensor], float]) -> float:
    """Mean of `distance(picture, try-on)` over pairs of files; pictures are resized to their try-ons."""
    values = []
    for picture, tryon in pairs:
        second = load_picture(tryon)
        values.append(distance(load_picture(picture, (second.shape[2], second.shape[3])), second))
    return float(np.mean(values))
