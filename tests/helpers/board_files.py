"""The files of boards' sensors, with what the kernel and the boards' makers document."""

from pathlib import Path

CPU, THERMAL, HWMON = "sys/devices/system/cpu/cpu", "sys/class/thermal/thermal_zone", "sys/class/hwmon/hwmon"
FIRMWARE = "sys/devices/platform/soc/soc:firmware/get_throttled"
ORIN_NANO = {
    **{f"{CPU}{n}/cpufreq/scaling_cur_freq": f"{1510400 + n}\n" for n in range(6)},
    **{f"{CPU}{n}/cpufreq/scaling_governor": "schedutil\n" for n in range(6)},
    f"{THERMAL}0/type": "cpu-thermal\n", f"{THERMAL}0/temp": "50593\n",
    f"{THERMAL}1/type": "gpu-thermal\n", f"{THERMAL}1/temp": "49968\n",
    f"{THERMAL}2/type": "cv0-thermal\n", f"{THERMAL}2/temp": "-256000\n",
    f"{THERMAL}8/type": "tj-thermal\n", f"{THERMAL}8/temp": "51031\n",
    "var/lib/nvpmodel/status": "pmode:0002\n",
    "etc/nvpmodel.conf":
        "< POWER_MODEL ID=0 NAME=15W >\nCPU_ONLINE CORE_0 1\n< POWER_MODEL ID=2 NAME=MAXN_SUPER >\n",
    "sys/class/devfreq/15340000.vic/cur_freq": "729600000\n",
    "sys/class/devfreq/17000000.gpu/cur_freq": "305966592\n",
    "sys/kernel/debug/bpmp/debug/clk/emc/rate": "2133000000\n",
    f"{HWMON}1/name": "ina3221\n",
    f"{HWMON}1/in1_label": "VDD_IN\n", f"{HWMON}1/in1_input": "5056\n", f"{HWMON}1/curr1_input": "1240\n",
    f"{HWMON}1/in2_label": "VDD_CPU_GPU_CV\n",
    f"{HWMON}1/in2_input": "5048\n", f"{HWMON}1/curr2_input": "248\n",
    f"{HWMON}1/in3_label": "VDD_SOC\n", f"{HWMON}1/in3_input": "5048\n", f"{HWMON}1/curr3_input": "312\n",
    f"{HWMON}1/in7_label": "sum of shunt voltages\n", f"{HWMON}1/in7_input": "9000\n",
    f"{HWMON}3/name": "soctherm_oc\n",
    f"{HWMON}3/oc1_event_cnt": "0\n", f"{HWMON}3/oc2_event_cnt": "0\n", f"{HWMON}3/oc3_event_cnt": "37\n",
}  # fmt: skip
PI_4 = {
    **{f"{CPU}{n}/cpufreq/scaling_cur_freq": "1800000\n" for n in range(4)},
    **{f"{CPU}{n}/cpufreq/scaling_governor": "ondemand\n" for n in range(4)},
    f"{THERMAL}0/type": "cpu-thermal\n", f"{THERMAL}0/temp": "61835\n",
    f"{HWMON}1/name": "rpi_volt\n", f"{HWMON}1/in0_lcrit_alarm": "1\n",
    FIRMWARE: "50005\n",
}  # fmt: skip
PI_5 = {
    **{f"{CPU}{n}/cpufreq/scaling_cur_freq": "2400000\n" for n in range(4)},
    f"{CPU}0/cpufreq/scaling_governor": "performance\n",
    f"{THERMAL}0/type": "cpu-thermal\n", f"{THERMAL}0/temp": "55400\n",
    f"{HWMON}2/name": "rpi_volt\n", f"{HWMON}2/in0_lcrit_alarm": "0\n",
}  # fmt: skip
RAPL = "sys/class/powercap/intel-rapl:"
X86 = {
    f"{CPU}0/cpufreq/scaling_cur_freq": "3400123\n", f"{CPU}0/cpufreq/scaling_governor": "powersave\n",
    f"{THERMAL}0/type": "acpitz\n", f"{THERMAL}0/temp": "27800\n",
    f"{THERMAL}1/type": "acpitz\n", f"{THERMAL}1/temp": "29800\n",
    f"{THERMAL}2/type": "x86_pkg_temp\n", f"{THERMAL}2/temp": "45000\n",
    f"{RAPL}0/name": "package-0\n", f"{RAPL}0/energy_uj": "1000000\n",
    f"{RAPL}0/max_energy_range_uj": "262143328850\n",
    f"{RAPL}0:0/name": "core\n", f"{RAPL}0:0/energy_uj": "900000\n",
    f"{RAPL}1/name": "psys\n", f"{RAPL}1/energy_uj": "5000000\n",
}  # fmt: skip
# A real answer of a Raspberry Pi 5 at rest; EXT5V and BATT have no current.
PMIC = """\
 3V7_WL_SW_A current(0)=0.10247270A
   3V3_SYS_A current(1)=0.10832820A
  VDD_CORE_A current(7)=1.42880000A
      HDMI_A current(22)=0.02002440A
 3V7_WL_SW_V volt(8)=3.71091200V
   3V3_SYS_V volt(9)=3.30910500V
  VDD_CORE_V volt(15)=0.90659250V
      HDMI_V volt(23)=5.07860000V
     EXT5V_V volt(24)=5.05716000V
      BATT_V volt(25)=0.00000000V
"""


def system(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root
