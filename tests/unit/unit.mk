# The unit tests: each is a program of its own, built on the developer's machine with sanitizers from
# tests/unit/<name>.c, the pure sources that <name>_SRC lists, and the other objects of <name>_OBJ.
UNIT_TESTS :=

UNIT_TESTS += test_vpit test_vrtc test_vpm test_vuart test_vkbc test_vreset test_vpci
test_vpit_SRC := guests/vdev/vpit.c guests/vdev/vdev.c lib/reason.c
test_vrtc_SRC := guests/vdev/vrtc.c guests/vdev/vrtc_calendar.c guests/vdev/vdev.c lib/reason.c
test_vpm_SRC := guests/vdev/vpm.c guests/vdev/vdev.c lib/reason.c
test_vuart_SRC := guests/vdev/vuart.c guests/vdev/vdev.c lib/reason.c
test_vkbc_SRC := guests/vdev/vkbc.c guests/vdev/vdev.c lib/reason.c
test_vreset_SRC := guests/vdev/vreset.c guests/vdev/vdebugexit.c guests/vdev/vdev.c lib/reason.c
VPCI_SRC := guests/vdev/vpci.c guests/vdev/vpci_function.c guests/vdev/vmsi.c guests/vdev/vmsix.c
test_vpci_SRC := $(VPCI_SRC) guests/vdev/vdev.c lib/reason.c
UNIT_TESTS += test_vpcitest
test_vpcitest_SRC := guests/vdev/vpcitest.c $(test_vpci_SRC)

UNIT_TESTS += test_vfwcfg test_guest_fwcfg
test_vfwcfg_SRC := guests/vdev/vfwcfg.c guests/vdev/vdev.c lib/reason.c
test_guest_fwcfg_SRC := guests/guest_fwcfg.c guests/guest_smbios.c guests/guest_acpi_loader.c \
	guests/guest_acpi.c guests/load_firmware.c guests/vdev/vfwcfg.c guests/vdev/vdev.c mm/gmem.c \
	lib/reason.c

UNIT_TESTS += test_vhpet
test_vhpet_SRC := guests/vdev/vhpet.c guests/vdev/vdev.c lib/reason.c

UNIT_TESTS += test_guest_acpi
test_guest_acpi_SRC := guests/guest_acpi.c lib/reason.c

UNIT_TESTS += test_features test_tsc_math test_trampoline test_mitigations test_timer_heap test_cmos
test_features_SRC := arch/x86/features.c
test_tsc_math_SRC := arch/x86/tsc_math.c
test_trampoline_SRC := arch/x86/trampoline.c
test_mitigations_SRC := arch/x86/mitigations_choose.c arch/x86/xcr0.c
test_timer_heap_SRC := sched/timer_heap.c
test_cmos_SRC := drivers/cmos_time.c

UNIT_TESTS += test_quota test_restart test_cpu_set
test_quota_SRC := mm/quota.c
test_restart_SRC := guests/restart.c
test_cpu_set_SRC := sched/cpu_set.c

UNIT_TESTS += test_clear_pages
test_clear_pages_OBJ := $(UNIT)/obj/arch/x86/clear_pages.o

UNIT_TESTS += test_vdev test_vlapic test_vlapic_timer test_vioapic test_vpic
VLAPIC_SRC := guests/vdev/vlapic.c guests/vdev/vlapic_regs.c guests/vdev/vlapic_timer.c \
	guests/vdev/vlapic_state.c
test_vlapic_SRC := $(VLAPIC_SRC) guests/vdev/vdev.c lib/reason.c
test_vlapic_timer_SRC := $(test_vlapic_SRC)
test_vioapic_SRC := guests/vdev/vioapic.c guests/vdev/vdev.c lib/reason.c
test_vpic_SRC := guests/vdev/vpic.c guests/vdev/vdev.c lib/reason.c
test_vdev_SRC := $(VLAPIC_SRC) guests/vdev/vioapic.c guests/vdev/vpic.c guests/vdev/vpit.c \
	guests/vdev/vrtc.c guests/vdev/vrtc_calendar.c guests/vdev/vpm.c guests/vdev/vuart.c \
	guests/vdev/vkbc.c guests/vdev/vreset.c guests/vdev/vhpet.c guests/vdev/vpcitest.c $(VPCI_SRC) \
	guests/vdev/vdev.c lib/reason.c

UNIT_TESTS += test_log test_log_reset test_json_out test_uart_logic
test_log_SRC := lib/log.c
test_log_reset_SRC := lib/log.c
test_json_out_SRC := lib/json_out.c
test_uart_logic_SRC := drivers/uart_logic.c lib/reason.c

UNIT_TESTS += test_lineedit test_command test_terminal test_console
TERMINAL_SRC := console/terminal.c console/sequence.c console/guest_lines.c console/lineedit.c console/out.c
test_lineedit_SRC := console/lineedit.c console/out.c
test_command_SRC := console/command.c console/out.c lib/reason.c lib/log.c
test_terminal_SRC := $(TERMINAL_SRC)
test_console_SRC := sched/cpu_set.c console/console.c console/commands.c console/command.c console/cmd_guest.c \
	console/cmd_host.c console/cmd_trace.c guests/exit_words.c guests/msr_names.c \
	arch/x86/oops_words.c $(TERMINAL_SRC) drivers/uart_logic.c lib/log.c lib/json_out.c lib/reason.c

UNIT_TESTS += test_gmem test_multiboot2 test_acpi_tables test_cmdline test_config test_load_linux \
	test_load_multiboot
test_gmem_SRC := mm/gmem.c
test_multiboot2_SRC := boot/multiboot2.c lib/reason.c
test_acpi_tables_SRC := boot/acpi_tables.c lib/reason.c
test_cmdline_SRC := boot/cmdline.c lib/reason.c
test_config_SRC := sched/cpu_set.c guests/config.c guests/config_boot.c guests/config_guest.c guests/json.c \
	lib/reason.c
test_load_linux_SRC := guests/load_linux.c guests/load.c mm/gmem.c lib/reason.c
LOAD_ELF_SRC := guests/elf.c guests/load.c guests/load_segments.c mm/gmem.c lib/reason.c
test_load_multiboot_SRC := guests/load_multiboot.c $(LOAD_ELF_SRC)
UNIT_TESTS += test_load_pvh
test_load_pvh_SRC := guests/load_pvh.c $(LOAD_ELF_SRC)

UNIT_TESTS += test_svm_decode test_svm_probe test_svm_state test_svm_permissions
test_svm_probe_SRC := arch/x86/tag_pool.c lib/reason.c
test_svm_decode_SRC := arch/x86/svm/decode.c arch/x86/exit_names.c arch/x86/tag_pool.c
test_svm_state_SRC := arch/x86/svm/state.c arch/x86/svm/audit.c arch/x86/state.c lib/reason.c
test_svm_permissions_SRC := arch/x86/svm/permissions.c arch/x86/svm/npt.c
UNIT_TESTS += test_svm_run
test_svm_run_SRC := arch/x86/svm/svm.c arch/x86/svm/state.c arch/x86/svm/audit.c \
	arch/x86/svm/decode.c arch/x86/svm/permissions.c arch/x86/svm/npt.c arch/x86/state.c \
	arch/x86/tag_pool.c lib/reason.c
UNIT_TESTS += test_svm_audit
test_svm_audit_SRC := arch/x86/svm/audit.c lib/reason.c

UNIT_TESTS += test_vmx_audit
VMX_AUDIT_SRC := arch/x86/vmx/audit.c arch/x86/vmx/audit_controls.c arch/x86/vmx/audit_guest.c \
	arch/x86/vmx/audit_host.c arch/x86/vmx/audit_segments.c
test_vmx_audit_SRC := $(VMX_AUDIT_SRC) lib/reason.c

# the whole back end on a processor that is played
UNIT_TESTS += test_vmx_state test_vmx_run
VMX_SRC := arch/x86/vmx/controls.c arch/x86/vmx/decode.c arch/x86/vmx/enable.c arch/x86/vmx/ept.c \
	arch/x86/vmx/explain.c arch/x86/vmx/load.c arch/x86/vmx/permissions.c \
	arch/x86/vmx/state.c arch/x86/vmx/vmx.c $(VMX_AUDIT_SRC) arch/x86/state.c \
	arch/x86/tag_pool.c lib/reason.c tests/unit/vmx_processor.c
test_vmx_state_SRC := $(VMX_SRC)
test_vmx_run_SRC := $(VMX_SRC)

UNIT_TESTS += test_string test_symbols test_oops_words
test_string_SRC :=
test_symbols_SRC := arch/x86/symbols.c
test_oops_words_SRC := arch/x86/oops_words.c

UNIT_TESTS += test_slpt
test_slpt_SRC := mm/slpt.c arch/x86/svm/npt.c arch/x86/vmx/ept.c

UNIT_TESTS += test_serial test_pvclock
test_serial_SRC := guests/serial.c
test_pvclock_SRC := guests/pvclock.c mm/gmem.c

UNIT_TESTS += test_machine
test_machine_SRC := guests/machine.c guests/vdev/vdebugexit.c guests/vdev/vdev.c \
	guests/vdev/vfwcfg.c guests/vdev/vpiix.c \
	guests/vdev/vhpet.c guests/vdev/vioapic.c guests/vdev/vkbc.c guests/vdev/vpcitest.c $(VPCI_SRC) guests/vdev/vpic.c \
	guests/vdev/vpit.c guests/vdev/vpm.c guests/vdev/vreset.c guests/vdev/vrtc.c \
	guests/vdev/vrtc_calendar.c guests/vdev/vuart.c lib/reason.c

UNIT_TESTS += test_cpu_model
test_cpu_model_SRC := guests/cpu_model.c

UNIT_TESTS += test_exit_ring
test_exit_ring_SRC := guests/exit_ring.c

UNIT_TESTS += test_exit_words
test_exit_words_SRC := guests/exit_words.c guests/msr_names.c arch/x86/exit_names.c arch/x86/oops_words.c \
	lib/json_out.c lib/reason.c

UNIT_TESTS += test_guest_symbols
test_guest_symbols_SRC := guests/guest_symbols.c

UNIT_TESTS += test_reason
test_reason_SRC := lib/reason.c

UNIT_TESTS += test_buddy test_heap test_hosttables test_usable
test_buddy_SRC := mm/buddy.c
test_heap_SRC := mm/heap.c
test_hosttables_SRC := mm/hosttables.c
test_usable_SRC := mm/usable.c

UNIT_TESTS += test_gwalk test_gwalk_random
test_gwalk_SRC := guests/gwalk.c mm/gmem.c
test_gwalk_random_SRC := $(test_gwalk_SRC)

UNIT_TESTS += test_task_switch
test_task_switch_SRC := guests/task_switch.c guests/gwalk.c mm/gmem.c arch/x86/state.c lib/reason.c

UNIT_TESTS += test_fetch
test_fetch_SRC := guests/fetch.c guests/gwalk.c mm/gmem.c

UNIT_TESTS += test_vmx_controls test_vmx_decode
test_vmx_controls_SRC := arch/x86/vmx/controls.c lib/reason.c
test_vmx_decode_SRC := arch/x86/vmx/decode.c arch/x86/vmx/permissions.c arch/x86/vmx/ept.c

UNIT_TESTS += test_emul_alu
test_emul_alu_SRC := guests/emul_alu.c

UNIT_TESTS += test_insn_length
test_insn_length_SRC := guests/insn_length.c mm/gmem.c
test_insn_length_OBJ := $(ZYDIS_OBJS_HOST)

UNIT_TESTS += test_emulate test_emulate_address test_emulate_decode test_emulate_native \
	test_emulate_segments
EMULATE_SRC := guests/emulate.c guests/emul_decode.c guests/emul_alu.c guests/fetch.c guests/gwalk.c \
	mm/gmem.c
test_emulate_SRC := $(EMULATE_SRC)
test_emulate_OBJ := $(ZYDIS_OBJS_HOST)
test_emulate_address_SRC := $(EMULATE_SRC)
test_emulate_address_OBJ := $(ZYDIS_OBJS_HOST)
test_emulate_decode_SRC := $(EMULATE_SRC)
test_emulate_decode_OBJ := $(ZYDIS_OBJS_HOST)
test_emulate_native_SRC := $(EMULATE_SRC)
test_emulate_native_OBJ := $(ZYDIS_OBJS_HOST)
test_emulate_segments_SRC := $(EMULATE_SRC)
test_emulate_segments_OBJ := $(ZYDIS_OBJS_HOST)

UNIT_TESTS += test_gunzip
test_gunzip_SRC := guests/gunzip.c lib/reason.c
test_gunzip_OBJ := $(ZLIB_OBJS_HOST)
