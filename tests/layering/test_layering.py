"""Holds the tree to its layering rules, and the rules to finding what breaks them."""

import os

import pytest

import rules

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def tree(tmp_path, path, text):
    file = tmp_path / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return rules.check(str(tmp_path))


def test_the_tree_keeps_the_rules():
    wrong = rules.check(TOP)
    assert not wrong, "\n" + "\n".join(wrong)


def test_no_source_is_forgotten():
    wrong = rules.unlisted(TOP)
    assert not wrong, "\n" + "\n".join(wrong)


@pytest.mark.parametrize("path, included", [
    ("sched/runq.c", "guests/vm.h"),
    ("sched/runq.c", "mm/frame.h"),
    ("mm/frame.c", "guests/vm.h"),
    ("mm/frame.c", "boot/main.h"),
    ("guests/run.c", "console/shell.h"),
    ("guests/run.c", "arch/x86/svm/vmcb.h"),
    ("guests/vdev/vuart.c", "drivers/uart.h"),
    ("guests/vdev/vuart.c", "guests/vm.h"),
    ("guests/vdev/vuart.c", "mm/gmem.h"),
    ("arch/x86/svm/run.c", "mm/frame.h"),
    ("arch/x86/svm/run.c", "guests/exit.h"),
    ("arch/x86/svm/run.c", "arch/x86/vmx/vmcs.h"),
    ("arch/x86/smp.c", "guests/vm.h"),
    ("arch/x86/smp.c", "arch/x86/svm/svm.h"),
    ("drivers/uart.c", "console/console.h"),
    ("lib/log.c", "arch/x86/asm.h"),
    ("console/shell.c", "boot/main.h"),
    ("mm/frame.c", "frame.h"),
])
def test_bad_include_is_found(tmp_path, path, included):
    found = tree(tmp_path, path, f'/* A file. */\n#include "{included}"\n')
    assert len(found) == 1
    assert found[0].startswith(f"{path}:2: ")


@pytest.mark.parametrize("path, included", [
    ("boot/main.c", "console/shell.h"),
    ("console/shell.c", "guests/vm.h"),
    ("guests/run.c", "guests/vdev/vuart.h"),
    ("guests/run.c", "arch/x86/hv.h"),
    ("guests/vdev/vuart.c", "guests/vdev/vdev.h"),
    ("guests/vdev/vuart.c", "lib/types.h"),
    ("arch/x86/svm/run.c", "arch/x86/state.h"),
    ("arch/x86/hv.c", "arch/x86/svm/svm.h"),
    ("mm/frame.c", "boot/info.h"),
    ("arch/x86/entry.S", "offsets.h"),
])
def test_good_include_passes(tmp_path, path, included):
    assert tree(tmp_path, path, f'#include "{included}"\n') == []


@pytest.mark.parametrize("path, included, good", [
    ("lib/string.c", "stdint.h", True),
    ("lib/string.c", "string.h", False),
    ("guests/config.c", "jsmn.h", True),
    ("boot/main.c", "jsmn.h", False),
    ("guests/emulate.c", "Zydis/Zydis.h", True),
    ("mm/slpt.c", "Zydis/Zydis.h", False),
])
def test_angled_includes(tmp_path, path, included, good):
    assert (tree(tmp_path, path, f"#include <{included}>\n") == []) == good


@pytest.mark.parametrize("name", ["vmcb", "struct_vmcs_page", "VMX_OFF", "is_svm", "npt_root", "EPT"])
def test_vendor_word_is_found(tmp_path, name):
    found = tree(tmp_path, "guests/run.c", f"int x;\nint {name};\n")
    assert len(found) == 1
    assert found[0].startswith("guests/run.c:2: ")


@pytest.mark.parametrize("text", [
    "/* what a VMCB\n * holds */ int accept, concept_of;",
    'const char *s = "no SVM here \\" npt";',
    "int x; // vmx",
])
def test_vendor_word_in_prose_passes(tmp_path, text):
    assert tree(tmp_path, "guests/run.c", text + "\n") == []


@pytest.mark.parametrize("path", ["arch/x86/svm/run.c", "arch/x86/vmx/run.c", "arch/x86/hv.c"])
def test_vendor_word_at_home_passes(tmp_path, path):
    assert tree(tmp_path, path, "int svm_x, vmcs_y;\n") == []


def test_unlisted_sources_are_found(tmp_path):
    tree(tmp_path, "mm/frame.c", "int x;\n")
    tree(tmp_path, "mm/heap.c", "int x;\n")
    tree(tmp_path, "mm/heap.h", "int x;\n")
    (tmp_path / "Makefile").write_text("MM_SRC := mm/frame.c\n")
    unit = tmp_path / "tests" / "unit"
    unit.mkdir(parents=True)
    (unit / "test_frame.c").write_text("")
    (unit / "test_heap.c").write_text("")
    (unit / "unit.mk").write_text("UNIT_TESTS :=\nUNIT_TESTS += test_x \\\n\ttest_frame\n")
    assert rules.unlisted(str(tmp_path)) == [
        "mm/heap.c: not in the Makefile's lists",
        "tests/unit/test_heap.c: not registered in tests/unit/unit.mk",
    ]
