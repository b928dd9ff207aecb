from __future__ import annotations

from gpudoctor import facts as f
from tests.good import GOOD, findings, found, says, verdict

RULE = "gpu-memory-too-small"
PASTE = f.Facts(origin="paste")


def test_a_process_that_held_nearly_all_needs_more_than_the_gpu_has() -> None:
    text = (
        "torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB (GPU 0; 23.69 GiB total capacity; "
        "20.11 GiB already allocated; 1.02 GiB free; 21.32 GiB reserved in total by PyTorch)"
    )
    assert verdict(says(text, PASTE)) == ("undetermined", RULE)
    assert found(says(text, PASTE), RULE).title == (
        "The program itself held 21.3 GiB of the GPU's 23.7 GiB when memory ran out."
    )


def test_tensorflows_tensor_that_does_not_fit_is_likely() -> None:
    text = "OOM when allocating tensor with shape[1,16,280,480] and type float on /device:GPU:0 by allocator GPU_0_bfc"
    assert found(says(text, PASTE), RULE).confidence.value == "likely"


def test_memory_that_others_held_is_another_matter() -> None:
    text = (
        "CUDA out of memory. Tried to allocate 36.00 MiB (GPU 0; 10.76 GiB total capacity; 996.23 MiB "
        "already allocated; "
        "8.81 MiB free; 1010.00 MiB reserved in total by PyTorch)"
    )
    assert findings(says(text, PASTE), RULE) == ()
    assert findings(GOOD, RULE) == ()
