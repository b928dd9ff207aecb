"""nvidia-smi's table of every generation, its lists, its queries, and its sentences."""

from __future__ import annotations

import pytest

from gpudoctor import facts as f
from tests.intake import pastes
from tests.intake.pastes import facts, reading, told

MIB = 1 << 20


def test_the_oldest_layout_without_a_cuda_version() -> None:
    seen = facts(pastes.SMI_331)
    assert told(seen.nvml, "source", "cuda") == {"result": "NVML_SUCCESS", "driver": "331.62"}
    assert [
        (gpu.index, gpu.name, gpu.pci, told(gpu.memory, "source"), told(gpu.clocks, "source"))
        for gpu in seen.known_gpus()
    ] == [
        (0, "GeForce GTX 680", "0000:03:00.0", {"total": 4095 * MIB, "used": 9 * MIB}, {"temperature": 35}),
        (1, "GeForce GTX 680", "0000:04:00.0", {"total": 4095 * MIB, "used": 9 * MIB}, {"temperature": 35}),
    ]


def test_the_two_row_layout_with_processes() -> None:
    intake = reading(pastes.SMI_418)
    assert (intake.recognised, intake.unread) == (intake.lines, {})
    assert told(intake.facts.nvml) == {
        "source": "line 2",
        "result": "NVML_SUCCESS",
        "driver": "418.67",
        "cuda": "10.1",
    }
    [gpu] = intake.facts.known_gpus()
    assert gpu == f.Gpu(
        source="line 7",
        index=0,
        name="Tesla V100-SXM2...",
        pci="0000:1a:00.0",
        capability=f.GpuCapability(source="line 7, compatibility matrix", value="7.0"),
        memory=f.GpuMemory(source="line 7", total=16130 * MIB, used=16130 * MIB),
        modes=f.GpuModes(source="line 7", compute="exclusive-process", persistence=True, display=False),
        ecc=f.GpuEcc(source="line 7", enabled=True, uncorrected=0),
        clocks=f.GpuClocks(source="line 7", temperature=42, power=56.0, power_limit=300.0),
        processes=f.GpuProcesses(
            source="line 7",
            processes=(f.GpuProcess(pid=21134, used=16119 * MIB, name="python train.py", kind="compute"),),
        ),
        link=f.NOT_IN_PASTE,
        nvlink=f.NOT_IN_PASTE,
        fabric=f.NOT_IN_PASTE,
        mig=f.NOT_IN_PASTE,
    )


def test_mig_devices_and_no_running_processes() -> None:
    intake = reading(pastes.SMI_535_MIG)
    [gpu] = intake.facts.known_gpus()
    assert (intake.recognised, intake.unread) == (intake.lines, {})
    assert told(gpu.modes, "source") == {"compute": "default", "persistence": True, "mig": True, "display": False}
    assert isinstance(gpu.mig, f.MigInstances)
    assert [(instance.name, instance.memory) for instance in gpu.mig.instances] == [
        ("GI 1 CI 0", 19968 * MIB),
        ("GI 2 CI 0", 19968 * MIB),
    ]
    assert gpu.processes == f.GpuProcesses(source="line 8", processes=())


def test_mig_without_instances_is_known_absence() -> None:
    head, _, _ = pastes.SMI_535_MIG.partition(
        "+---------------------------------------------------------------------------------------+\n| MIG"
    )
    seen = facts(head + "| MIG devices:                  |\n+------+\n|  No MIG devices found         |\n+------+\n")
    [gpu] = seen.known_gpus()
    assert gpu.mig == f.MigInstances(source="line 8", instances=())


def test_branch_610_names_its_versions_anew() -> None:
    intake = reading(pastes.SMI_610)
    assert told(intake.facts.nvml, "source") == {"result": "NVML_SUCCESS", "driver": "610.43.02", "cuda": "13.3"}
    [gpu] = intake.facts.known_gpus()
    assert (gpu.name, told(gpu.memory, "source")) == ("NVIDIA B200", {"total": 183359 * MIB, "used": 0})
    assert told(gpu.modes, "source") == {"compute": "default", "persistence": True, "mig": False, "display": False}


def test_the_driver_model_column_means_windows() -> None:
    seen = facts(pastes.SMI_WINDOWS)
    assert isinstance(seen.system, f.System)
    assert seen.system.os == "windows"
    [gpu] = seen.known_gpus()
    assert told(gpu.modes, "source") == {"compute": "default", "display": True, "model": "WDDM"}


def test_linux_smi_over_another_major_driver_means_wsl() -> None:
    seen = facts(pastes.SMI_418.replace("Driver Version: 418.67", "Driver Version: 526.86"))
    assert isinstance(seen.wsl, f.Wsl)
    assert seen.wsl.version == 2


def test_a_banner_without_rows_is_not_an_empty_list_of_gpus() -> None:
    head = pastes.SMI_610.partition("|   0")[0]
    seen = facts(head)
    assert isinstance(seen.gpus, f.Missing)
    assert told(seen.nvml, "source") == {"result": "NVML_SUCCESS", "driver": "610.43.02", "cuda": "13.3"}


def test_cuda_version_n_a_keeps_what_was_shown() -> None:
    seen = facts(pastes.SMI_418.replace("CUDA Version: 10.1 ", "CUDA Version: N/A  "))
    assert told(seen.nvml, "source") == {
        "result": "NVML_SUCCESS",
        "driver": "418.67",
        "cuda": "10.1",
        "detail": "CUDA Version: N/A",
    }


def test_the_list_carries_uuids_and_mig_devices() -> None:
    seen = facts(pastes.SMI_LIST)
    first, second = seen.known_gpus()
    assert (first.uuid, second.uuid) == (
        "GPU-5d5ba0d6-d33d-2b2c-524d-9e3d8d2b8a77",
        "GPU-ea0ba7c1-1e0f-4ae0-9e5c-2f0e36d52a32",
    )
    assert first.mig == f.MigInstances(
        source="line 3",
        instances=(f.MigInstance(uuid="MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f", name="MIG 3g.20gb"),),
    )


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 535.129", "NVML_ERROR_LIB_RM_VERSION_MISMATCH"),  # noqa: E501
        ("Failed to initialize NVML: Unknown Error", "NVML_ERROR_UNKNOWN"),
        ("Failed to initialize NVML: Insufficient Permissions", "NVML_ERROR_NO_PERMISSION"),
        ("Failed to initialize NVML: GPU access blocked by the operating system", "NVML_ERROR_OPERATING_SYSTEM"),
        ("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that the latest NVIDIA driver is installed and running.", "NVML_ERROR_DRIVER_NOT_LOADED"),  # noqa: E501
        ("NVIDIA-SMI couldn't find libnvidia-ml.so library in your system. Please make sure that the NVIDIA Display Driver is properly installed", "NVML_ERROR_LIBRARY_NOT_FOUND"),  # noqa: E501
    ],
)  # fmt: skip
def test_a_sentence_in_place_of_the_table_is_nvmls_result_and_stays_a_message(text: str, result: str) -> None:
    seen = facts(f"$ nvidia-smi\n{text}\n")
    assert isinstance(seen.nvml, f.Nvml)
    assert (seen.nvml.result, seen.nvml.driver, seen.nvml.source) == (result, None, "line 2")
    assert seen.messages[0].text == text.split("\n")[0]
    assert isinstance(seen.gpus, f.Missing)


def test_no_devices_is_known_absence() -> None:
    seen = facts("$ nvidia-smi\nNo devices were found\n")
    assert seen.gpus == f.Gpus(source="line 2", gpus=())


def test_an_error_after_a_good_table_holds() -> None:
    seen = facts(
        pastes.SMI_418 + "\n# docker run --gpus all cuda nvidia-smi\nFailed to initialize NVML: Unknown Error\n"
    )
    assert isinstance(seen.nvml, f.Nvml)
    assert (seen.nvml.result, seen.nvml.driver) == ("NVML_ERROR_UNKNOWN", "418.67")


QUERY = """\
==============NVSMI LOG==============

Timestamp                                 : Sat Oct 10 17:02:53 2020
Driver Version                            : 550.54.15
CUDA Version                              : 12.4

Attached GPUs                             : 1
GPU 00000000:65:00.0
    Product Name                          : NVIDIA H100 80GB HBM3
    Product Brand                         : NVIDIA
    Persistence Mode                      : Enabled
    MIG Mode
        Current                           : Disabled
        Pending                           : Enabled
    GPU UUID                              : GPU-6f1a0ed3-5e43-4c0e-9d6b-0c3c4f1d2a10
    VBIOS Version                         : 96.00.74.00.01
    GPU Virtualization Mode
        Virtualization Mode               : Pass-Through
    PCI
        Device Id                         : 0x233010DE
        GPU Link Info
            PCIe Generation
                Max                       : 5
                Current                   : 1
                Device Current            : 1
            Link Width
                Max                       : 16x
                Current                   : 8x
        Replays Since Reset               : 3
    Clocks Event Reasons
        Idle                              : Not Active
        SW Power Cap                      : Active
        HW Slowdown                       : Not Active
            HW Thermal Slowdown           : Not Active
        SW Thermal Slowdown               : Active
    FB Memory Usage
        Total                             : 81559 MiB
        Reserved                          : 551 MiB
        Used                              : 2 MiB
        Free                              : 81005 MiB
    Compute Mode                          : Default
    ECC Mode
        Current                           : Enabled
        Pending                           : Enabled
    Remapped Rows
        Correctable Error                 : 0
        Uncorrectable Error               : 2
        Pending                           : Yes
        Remapping Failure Occurred        : No
    Temperature
        GPU Current Temp                  : 71 C
        GPU Slowdown Temp                 : 90 C
    Power Readings
        Power Draw                        : 351.50 W
        Current Power Limit               : 350.00 W
        Default Power Limit               : 700.00 W
    Clocks
        Graphics                          : 345 MHz
        SM                                : 345 MHz
    Max Clocks
        Graphics                          : 1980 MHz
        SM                                : 1980 MHz
    Fabric
        State                             : In Progress
        Status                            : N/A
"""


def test_the_query_gives_a_whole_gpu() -> None:
    intake = reading(QUERY)
    assert told(intake.facts.nvml, "source") == {"result": "NVML_SUCCESS", "driver": "550.54.15", "cuda": "12.4"}
    [gpu] = intake.facts.known_gpus()
    assert told(gpu, "source", "capability", "memory", "modes", "ecc", "clocks", "link", "fabric") == {
        "index": 0,
        "name": "NVIDIA H100 80GB HBM3",
        "uuid": "GPU-6f1a0ed3-5e43-4c0e-9d6b-0c3c4f1d2a10",
        "pci": "0000:65:00.0",
        "pci_device": "2330",
        "vbios": "96.00.74.00.01",
    }
    assert told(gpu.memory, "source") == {"total": 81559 * MIB, "used": 2 * MIB, "free": 81005 * MIB}
    assert told(gpu.modes, "source") == {
        "compute": "default",
        "persistence": True,
        "mig": False,
        "mig_pending": True,
        "virtualization": "pass-through",
    }
    assert told(gpu.ecc, "source") == {
        "enabled": True,
        "remapped_corrected": 0,
        "remapped_uncorrected": 2,
        "remap_pending": True,
        "remap_failure": False,
    }
    assert told(gpu.clocks, "source") == {
        "throttle": ("sw-power-cap", "sw-thermal-slowdown"),
        "temperature": 71,
        "temperature_limit": 90,
        "power": 351.5,
        "power_limit": 350.0,
        "power_default_limit": 700.0,
        "sm_clock": 345,
        "sm_clock_max": 1980,
    }
    assert told(gpu.link, "source") == {
        "generation": 1,
        "generation_max": 5,
        "width": 8,
        "width_max": 16,
        "replays": 3,
    }
    assert told(gpu.fabric, "source") == {"state": "in-progress"}


XML = """\
<?xml version="1.0" ?>
<!DOCTYPE nvidia_smi_log SYSTEM "nvsmi_device_v12.dtd">
<nvidia_smi_log>
	<timestamp>Tue Nov 26 10:00:00 2024</timestamp>
	<driver_version>550.54.15</driver_version>
	<cuda_version>12.4</cuda_version>
	<attached_gpus>1</attached_gpus>
	<gpu id="00000000:65:00.0">
		<product_name>NVIDIA GeForce RTX 3090</product_name>
		<persistence_mode>Disabled</persistence_mode>
		<uuid>GPU-6f1a0ed3-5e43-4c0e-9d6b-0c3c4f1d2a10</uuid>
		<fb_memory_usage>
			<total>24576 MiB</total>
			<used>1 MiB</used>
		</fb_memory_usage>
		<compute_mode>Prohibited</compute_mode>
		<pci>
			<pci_device_id>220410DE</pci_device_id>
			<pci_gpu_link_info>
				<pcie_gen>
					<max_link_gen>4</max_link_gen>
					<current_link_gen>1</current_link_gen>
				</pcie_gen>
			</pci_gpu_link_info>
		</pci>
		<clocks_event_reasons>
			<clocks_event_reason_sw_thermal_slowdown>Active</clocks_event_reason_sw_thermal_slowdown>
		</clocks_event_reasons>
	</gpu>
</nvidia_smi_log>
"""


def test_the_xml_is_read_without_a_parser_and_gives_the_same() -> None:
    intake = reading(XML)
    assert (intake.recognised, intake.unread) == (intake.lines, {})
    [gpu] = intake.facts.known_gpus()
    assert told(intake.facts.nvml, "source") == {"result": "NVML_SUCCESS", "driver": "550.54.15", "cuda": "12.4"}
    assert (gpu.name, gpu.pci_device, gpu.pci) == ("NVIDIA GeForce RTX 3090", "2204", "0000:65:00.0")
    assert told(gpu.modes, "source") == {"compute": "prohibited", "persistence": False}
    assert told(gpu.link, "source") == {"generation": 1, "generation_max": 4}
    assert told(gpu.clocks, "source") == {"throttle": ("sw-thermal-slowdown",)}


def test_entities_of_a_hostile_xml_are_never_expanded() -> None:
    bomb = '<!DOCTYPE l [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>\n'
    [gpu] = facts(bomb + XML.replace("NVIDIA GeForce RTX 3090", "&b;&b;")).known_gpus()
    assert gpu.name == "&b;&b;"


def test_the_csv_query_is_a_list_of_gpus() -> None:
    seen = facts(
        "name, memory.total [MiB], compute_cap, driver_version\n"
        "NVIDIA GeForce RTX 4090, 24564 MiB, 8.9, 550.54.15\nNVIDIA GeForce GTX 1080, 8192 MiB, 6.1, 550.54.15\n"
    )
    assert [(gpu.index, gpu.name, told(gpu.capability, "source")) for gpu in seen.known_gpus()] == [
        (0, "NVIDIA GeForce RTX 4090", {"value": "8.9"}),
        (1, "NVIDIA GeForce GTX 1080", {"value": "6.1"}),
    ]
    assert told(seen.nvml, "source", "cuda") == {"result": "NVML_SUCCESS", "driver": "550.54.15"}
