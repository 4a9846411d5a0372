import json

from akd_toolkit.deploy.bench.machine import busy_warning, cpu_name, describe_machine, num_cores


def test_the_machine_is_named_in_plain_data():
    machine = describe_machine()
    assert machine == json.loads(json.dumps(machine))
    assert machine["cpu"] and machine["system"] and machine["cores"] == num_cores() >= 1
    assert machine["versions"]["torch"] and machine["versions"]["python"].startswith("3.")


def test_the_processor_is_the_first_of_the_list(tmp_path):
    path = tmp_path / "cpuinfo"
    path.write_text("processor\t: 0\nmodel name\t: Some CPU: 3 GHz\nprocessor\t: 1\nmodel name\t: Other\n")
    assert cpu_name(path) == "Some CPU: 3 GHz"


def test_a_processor_without_a_name_has_the_name_of_its_kind(tmp_path):
    assert cpu_name(tmp_path / "missing")


def test_a_quarter_of_the_cores_at_work_is_busy():
    assert busy_warning(0.9, 4) == "" and busy_warning(None, 4) == ""
    assert "a load of 1.0 on 4 cores" in busy_warning(1.0, 4)
