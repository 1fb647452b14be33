# Skerry: builds the hypervisor, its CD images and its tests. `make help` lists what can be made.
#
# Everything that is made goes to build/ (with another compiler than gcc, to build/<compiler>/; with
# DEBUG=1, which adds checks at run time, to debug/ below that).
# Third-party code comes to build/third-party/ by tools/fetch.

VERSION := 0.1.0

ifeq ($(origin CC),default)
CC := gcc
endif
OBJCOPY := objcopy
LD      := ld

IS_CLANG := $(findstring clang,$(shell $(CC) --version 2>/dev/null))

# What every compiler shares, and what this one makes.
BUILD := build
OUT   := $(if $(filter gcc,$(CC)),$(BUILD),$(BUILD)/$(notdir $(CC)))$(if $(DEBUG),/debug)

# make V=1 shows whole commands, make -s nothing.
Q := $(if $(V),,@)
SILENT := $(findstring s,$(filter-out --%,$(firstword -$(MAKEFLAGS))))
say = $(if $(V)$(SILENT),,@printf '  %-8s%s\n' '$(1)' '$@')

.DELETE_ON_ERROR:
.SECONDARY:
.SUFFIXES:

all: $(OUT)/skerry.elf

# ---- the hypervisor's sources, by folder ----

LIB_SRC := lib/format.c lib/json_out.c lib/log.c lib/reason.c lib/string.c

BOOT_SRC := boot/header.S boot/acpi_tables.c boot/cmdline.c boot/main.c boot/multiboot2.c

ARCH_SRC := arch/x86/ap.S arch/x86/clear_pages.S arch/x86/exit_names.c arch/x86/features.c \
	arch/x86/fpu.c arch/x86/gdt.c arch/x86/hv.c arch/x86/ioapic.c arch/x86/lapic.c \
	arch/x86/mitigations.c \
	arch/x86/mitigations_choose.c arch/x86/oops.c arch/x86/oops_words.c arch/x86/power.c \
	arch/x86/smp.c arch/x86/state.c arch/x86/symbols.c arch/x86/tag_pool.c arch/x86/trampoline.c arch/x86/trap_stubs.S \
	arch/x86/traps.c arch/x86/tsc.c arch/x86/tsc_math.c arch/x86/xcr0.c
ARCH_SRC += $(if $(DEBUG),arch/x86/lock_order.c)

SVM_SRC := arch/x86/svm/audit.c arch/x86/svm/decode.c arch/x86/svm/enable.c \
	arch/x86/svm/npt.c arch/x86/svm/permissions.c arch/x86/svm/state.c arch/x86/svm/svm.c arch/x86/svm/switch.S

VMX_SRC := arch/x86/vmx/audit.c arch/x86/vmx/audit_controls.c arch/x86/vmx/audit_guest.c \
	arch/x86/vmx/audit_host.c arch/x86/vmx/audit_segments.c arch/x86/vmx/controls.c \
	arch/x86/vmx/decode.c arch/x86/vmx/enable.c arch/x86/vmx/ept.c arch/x86/vmx/explain.c \
	arch/x86/vmx/load.c arch/x86/vmx/permissions.c arch/x86/vmx/state.c arch/x86/vmx/switch.S \
	arch/x86/vmx/vmx.c

MM_SRC := mm/buddy.c mm/frame.c mm/gmem.c mm/heap.c mm/hostmap.c mm/hosttables.c mm/quota.c mm/slpt.c mm/usable.c

SCHED_SRC := sched/cpu_set.c sched/sched.c sched/timer.c sched/timer_heap.c

DRIVERS_SRC := drivers/cmos.c drivers/cmos_time.c drivers/uart.c drivers/uart_logic.c

GUESTS_SRC := guests/config.c \
	guests/config_boot.c \
	guests/config_guest.c \
	guests/control_regs.c \
	guests/cpu_model.c \
	guests/crash.c \
	guests/elf.c \
	guests/emul_alu.c \
	guests/emul_decode.c \
	guests/emulate.c \
	guests/exit_ring.c \
	guests/exit_words.c \
	guests/exits.c \
	guests/fetch.c \
	guests/guest_acpi.c \
	guests/guest_acpi_loader.c \
	guests/guest_fwcfg.c \
	guests/guest_smbios.c \
	guests/guest_symbols.c \
	guests/gunzip.c \
	guests/gwalk.c \
	guests/insn_length.c \
	guests/json.c \
	guests/load.c \
	guests/load_firmware.c \
	guests/load_linux.c \
	guests/load_multiboot.c \
	guests/load_pvh.c \
	guests/load_segments.c \
	guests/machine.c \
	guests/modules.c \
	guests/msr.c \
	guests/msr_names.c \
	guests/pvclock.c \
	guests/restart.c \
	guests/serial.c \
	guests/task_switch.c \
	guests/task_switch_exit.c \
	guests/vcpu.c \
	guests/vm.c \
	guests/vm_clock.c \
	guests/vm_firmware.c \
	guests/vm_memory.c \
	guests/vm_symbols.c \
	guests/vm_wiring.c

VDEV_SRC := guests/vdev/vdebugexit.c \
	guests/vdev/vdev.c \
	guests/vdev/vfwcfg.c \
	guests/vdev/vhpet.c \
	guests/vdev/vioapic.c \
	guests/vdev/vkbc.c \
	guests/vdev/vlapic.c \
	guests/vdev/vlapic_regs.c \
	guests/vdev/vlapic_state.c \
	guests/vdev/vlapic_timer.c \
	guests/vdev/vmsi.c \
	guests/vdev/vmsix.c \
	guests/vdev/vpci.c \
	guests/vdev/vpci_function.c \
	guests/vdev/vpcitest.c \
	guests/vdev/vpic.c \
	guests/vdev/vpiix.c \
	guests/vdev/vpit.c \
	guests/vdev/vpm.c \
	guests/vdev/vreset.c \
	guests/vdev/vrtc.c \
	guests/vdev/vrtc_calendar.c \
	guests/vdev/vuart.c

CONSOLE_SRC := console/build_id.c console/cmd_guest.c console/cmd_host.c console/cmd_trace.c console/command.c \
	console/commands.c console/console.c console/emergency.c console/guest_lines.c \
	console/guests_view.c console/lineedit.c console/log_stamp.c console/out.c \
	console/sequence.c console/terminal.c

SRC := $(BOOT_SRC) $(ARCH_SRC) $(SVM_SRC) $(VMX_SRC) $(MM_SRC) $(SCHED_SRC) $(DRIVERS_SRC) \
	$(GUESTS_SRC) $(VDEV_SRC) $(CONSOLE_SRC) $(LIB_SRC)

# ---- third-party code ----

TP := $(BUILD)/third-party

ZYDIS_SRC := $(addprefix $(TP)/zydis/src/,Decoder.c DecoderData.c Register.c SharedData.c)
KLIBC_SRC := $(TP)/klibc/usr/klibc/vsnprintf.c
ZLIB_SRC := $(addprefix $(TP)/zlib/,adler32.c crc32.c inffast.c inflate.c inftrees.c zutil.c)

TP_STAMPS := $(addprefix $(TP)/,zydis.stamp libzycore-dev.stamp libjsmn-dev.stamp klibc.stamp zlib.stamp)

ZYDIS_CFLAGS := -isystem $(TP)/zydis/include -isystem $(TP)/libzycore-dev/usr/include \
	-DZYAN_NO_LIBC -DZYDIS_STATIC_BUILD -DZYCORE_STATIC_BUILD -DZYDIS_DISABLE_FORMATTER \
	-DZYDIS_DISABLE_ENCODER -DZYDIS_DISABLE_AVX512 -DZYDIS_DISABLE_KNC
JSMN_CFLAGS := -isystem $(TP)/libjsmn-dev/usr/include
# Without a C library; the integers that zlib would take from its headers.
ZLIB_CFLAGS := -isystem $(TP)/zlib -DZ_SOLO -DZLIB_CONST -DZ_U4=unsigned '-DZ_U8=unsigned long'

$(TP)/%.stamp: tools/third-party.lock tools/fetch
	$(Q)tools/fetch --out $(TP) $*

# The files that the stamps stand for: nothing to do but to have the stamp.
$(ZYDIS_SRC): $(TP)/zydis.stamp ;
$(KLIBC_SRC): $(TP)/klibc.stamp ;
$(ZLIB_SRC): $(TP)/zlib.stamp ;

# ---- flags ----

WARNINGS := -Wall -Wextra -Wconversion -Wshadow -Wvla -Wimplicit-fallthrough -Werror

ifneq ($(IS_CLANG),)
COMPILER_INCLUDE := $(shell $(CC) -print-resource-dir 2>/dev/null)/include
RETPOLINES       := -mretpoline
else
COMPILER_INCLUDE := $(shell $(CC) -print-file-name=include 2>/dev/null)
RETPOLINES       := -mindirect-branch=thunk -mindirect-branch-register -mfunction-return=keep
endif

# No vector or floating-point registers: they hold the guest's state. No red zone: interrupts run on
# the same stack. Frame pointers: call traces. The canary stands in the per-CPU area at %gs:40.
HV_FLAGS := -O2 -g -ffreestanding -nostdinc -isystem $(COMPILER_INCLUDE) -I. -I$(OUT)/include \
	-I$(BUILD) -mno-red-zone -mno-sse -mno-mmx -mno-80387 -fno-pic -fno-pie -mcmodel=kernel \
	-fno-omit-frame-pointer -momit-leaf-frame-pointer -fno-asynchronous-unwind-tables -fno-jump-tables -fcf-protection=none \
	-fno-strict-aliasing -fno-delete-null-pointer-checks -fno-common $(RETPOLINES) \
	-fstack-protector-strong -mstack-protector-guard=tls -mstack-protector-guard-reg=gs \
	-mstack-protector-guard-offset=40 -ffile-prefix-map=$(CURDIR)/=

# Checks that cost too much for every day.
HV_FLAGS += $(if $(DEBUG),-DSKERRY_DEBUG)

DEPS       = -MMD -MP -MF $@.d
HV_CFLAGS := -std=gnu17 $(HV_FLAGS) $(WARNINGS) -Wframe-larger-than=1280 $(JSMN_CFLAGS) $(ZYDIS_CFLAGS) \
	$(ZLIB_CFLAGS)
TP_CFLAGS := -std=gnu17 $(HV_FLAGS) -w
LDFLAGS   := -nostdlib -static -z noexecstack -z max-page-size=4096 --build-id=none --fatal-warnings

# A file that holds the given words, rewritten only when they change: what depends on it is made anew
# then, and not for every other edit of this Makefile.
define REMEMBER
@mkdir -p $(@D)
@printf '%s\n' '$(subst ','\'',$(1))' >$@.new; if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi
endef

$(OUT)/flags: FORCE
	$(call REMEMBER,$(HV_CFLAGS) $(TP_CFLAGS))

# On the way of every exit a canary stands only where bytes are put into arrays.
EXIT_PATH := guests/emulate guests/exits guests/fetch guests/gwalk guests/vcpu
$(addprefix $(OUT)/obj/,$(addsuffix .o,$(EXIT_PATH))): HV_CFLAGS += -fstack-protector

# memcpy and its like must not be turned into calls of themselves.
$(OUT)/obj/lib/string.o: HV_CFLAGS += -fno-builtin $(if $(IS_CLANG),,-fno-tree-loop-distribute-patterns)

# ---- generated headers ----

# Offsets that assembly needs: each DEFINE(NAME, value) of offsets.c leaves a line "->NAME value" in
# the compiler's assembly output.
$(OUT)/include/offsets.h: arch/x86/offsets.c $(TP_STAMPS)
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(HV_CFLAGS) -g0 -MMD -MP -MF $(OUT)/offsets.d -MT $@ -S -o $(OUT)/offsets.s $<
	@{ echo '/* Made from $<. */'; \
	   sed -n 's/^[^>]*->\([A-Za-z0-9_]*\) [$$]*\(-\{0,1\}[0-9]*\).*/#define \1 \2/p' $(OUT)/offsets.s; } >$@

# What this build is: rewritten only when it changes.
$(OUT)/include/version.h: FORCE
	@mkdir -p $(@D)
	@build=$$(git describe --always --dirty 2>/dev/null || echo unknown); \
	{ echo '/* Made by the Makefile. */'; \
	  echo '#define SKERRY_VERSION "$(VERSION)"'; \
	  echo "#define SKERRY_BUILD \"$$build\""; \
	  echo '#define SKERRY_COMPILER "$(notdir $(CC))"'; } >$@.new; \
	if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

# The ACPI table of the guests, as a C array.
$(BUILD)/dsdt.hex: guests/dsdt.asl
	@mkdir -p $(@D) $(BUILD)/asl
	@iasl -I . -p $(BUILD)/asl/dsdt -tc $< >$(BUILD)/asl/log 2>&1 || { cat $(BUILD)/asl/log; exit 1; }
	@mv $(BUILD)/asl/dsdt.hex $@

GENERATED := $(OUT)/include/offsets.h $(OUT)/include/version.h $(BUILD)/dsdt.hex $(TP_STAMPS)

# ---- objects and image ----

OBJ := $(patsubst %,$(OUT)/obj/%.o,$(basename $(SRC)))
ZYDIS_OBJS := $(patsubst $(TP)/zydis/src/%.c,$(OUT)/obj/zydis/%.o,$(ZYDIS_SRC))
KLIBC_OBJS := $(patsubst $(TP)/klibc/usr/klibc/%.c,$(OUT)/obj/klibc/%.o,$(KLIBC_SRC))
ZLIB_OBJS := $(patsubst $(TP)/zlib/%.c,$(OUT)/obj/zlib/%.o,$(ZLIB_SRC))
ALL_OBJ := $(OBJ) $(ZYDIS_OBJS) $(KLIBC_OBJS) $(ZLIB_OBJS)

$(OUT)/obj/%.o: %.c $(OUT)/flags | $(GENERATED)
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(HV_CFLAGS) $(DEPS) -c -o $@ $<

$(OUT)/obj/%.o: %.S $(OUT)/flags | $(GENERATED)
	@mkdir -p $(@D)
	$(call say,AS)
	$(Q)$(CC) $(HV_FLAGS) -D__ASSEMBLY__ $(DEPS) -c -o $@ $<

$(OUT)/obj/zydis/%.o: $(TP)/zydis/src/%.c $(OUT)/flags | $(TP_STAMPS)
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(TP_CFLAGS) $(ZYDIS_CFLAGS) -isystem $(TP)/zydis/src $(DEPS) -c -o $@ $<

$(OUT)/obj/klibc/%.o: $(TP)/klibc/usr/klibc/%.c $(OUT)/flags | $(TP_STAMPS)
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(TP_CFLAGS) -Ilib/klibc $(DEPS) -c -o $@ $<

$(OUT)/obj/zlib/%.o: $(TP)/zlib/%.c $(OUT)/flags | $(TP_STAMPS)
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(TP_CFLAGS) $(ZLIB_CFLAGS) $(DEPS) -c -o $@ $<

# Linked twice: the second image contains the table of the first one's function symbols.
$(OUT)/obj/symbols-0.S: tools/mksyms
	@mkdir -p $(@D)
	$(Q)tools/mksyms >$@

$(OUT)/obj/symbols-%.o: $(OUT)/obj/symbols-%.S
	$(call say,AS)
	$(Q)$(CC) -c -o $@ $<

$(OUT)/objects: FORCE
	$(call REMEMBER,$(ALL_OBJ) $(LDFLAGS))

$(OUT)/first.elf: $(ALL_OBJ) $(OUT)/obj/symbols-0.o linker.ld $(OUT)/objects
	$(call say,LD)
	$(Q)$(LD) $(LDFLAGS) -T linker.ld -o $@ $(ALL_OBJ) $(OUT)/obj/symbols-0.o

$(OUT)/obj/symbols-1.S: $(OUT)/first.elf tools/mksyms
	$(Q)tools/mksyms $< >$@

$(OUT)/skerry.debug.elf: $(OUT)/first.elf $(OUT)/obj/symbols-1.o
	$(call say,LD)
	$(Q)$(LD) $(LDFLAGS) -T linker.ld -o $@ $(ALL_OBJ) $(OUT)/obj/symbols-1.o
	$(Q)tools/mksyms --check $@
	$(Q)tools/check-image $@

# What GRUB loads; skerry.debug.elf is the same with symbols, for a debugger.
$(OUT)/skerry.elf: $(OUT)/skerry.debug.elf
	$(call say,STRIP)
	$(Q)$(OBJCOPY) --strip-all $< $@

# ---- unit tests ----

# Pure code once more, for this machine, with sanitizers. Third-party code is compiled without them.
HOST_CC := gcc
UNIT := $(BUILD)/unit
UNIT_CFLAGS := -std=gnu17 -g -O1 -fsanitize=address,undefined -fno-sanitize-recover=all \
	-fno-omit-frame-pointer $(WARNINGS) -I. -I$(BUILD) -I$(UNIT)/include $(JSMN_CFLAGS) $(ZYDIS_CFLAGS) \
	$(ZLIB_CFLAGS)

ZYDIS_OBJS_HOST := $(patsubst $(TP)/zydis/src/%.c,$(UNIT)/zydis/%.o,$(ZYDIS_SRC))
ZLIB_OBJS_HOST := $(patsubst $(TP)/zlib/%.c,$(UNIT)/zlib/%.o,$(ZLIB_SRC))

include tests/unit/unit.mk

UNIT_SRC := $(sort $(foreach t,$(UNIT_TESTS),tests/unit/$(t).c $(filter %.c,$($(t)_SRC))))
UNIT_OBJ := $(patsubst %.c,$(UNIT)/obj/%.o,$(UNIT_SRC))
UNIT_BIN := $(addprefix $(UNIT)/,$(UNIT_TESTS))

$(UNIT)/flags: FORCE
	$(call REMEMBER,$(UNIT_CFLAGS))

$(UNIT)/obj/%.o: %.c $(UNIT)/flags | $(TP_STAMPS) $(BUILD)/dsdt.hex
	@mkdir -p $(@D)
	$(call say,HOSTCC)
	$(Q)$(HOST_CC) $(UNIT_FAKE) $(UNIT_CFLAGS) $(DEPS) -c -o $@ $<

$(UNIT)/obj/%.o: %.S $(UNIT)/flags
	@mkdir -p $(@D)
	$(call say,HOSTAS)
	$(Q)$(HOST_CC) -c -o $@ $<

# Where a test plays the processor, its headers of this folder hide those with the instructions.
$(UNIT)/obj/arch/x86/vmx/%.o $(UNIT)/obj/tests/unit/vmx_%.o $(UNIT)/obj/tests/unit/test_vmx_%.o: \
	UNIT_FAKE := -Itests/unit/fake

$(UNIT)/zydis/%.o: $(TP)/zydis/src/%.c $(UNIT)/flags | $(TP_STAMPS)
	@mkdir -p $(@D)
	$(call say,HOSTCC)
	$(Q)$(HOST_CC) -std=gnu17 -O2 -w $(ZYDIS_CFLAGS) -isystem $(TP)/zydis/src $(DEPS) -c -o $@ $<

$(UNIT)/zlib/%.o: $(TP)/zlib/%.c $(UNIT)/flags | $(TP_STAMPS)
	@mkdir -p $(@D)
	$(call say,HOSTCC)
	$(Q)$(HOST_CC) -std=gnu17 -O2 -w $(ZLIB_CFLAGS) $(DEPS) -c -o $@ $<

define UNIT_RULE
$$(UNIT)/$(1): $$(UNIT)/obj/tests/unit/$(1).o $$(patsubst %.c,$$(UNIT)/obj/%.o,$$($(1)_SRC)) $$($(1)_OBJ)
	$$(call say,HOSTLD)
	$$(Q)$$(HOST_CC) -fsanitize=address,undefined -o $$@ $$^ -lcmocka
endef
$(foreach t,$(UNIT_TESTS),$(eval $(call UNIT_RULE,$(t))))

unit: $(UNIT_BIN)
	@tests/run unit $(UNIT_BIN)

# ---- fuzzing ----

# Each is one program of libFuzzer, from tests/fuzz/<name>.c and the pure sources that it needs. What
# it finds stays in build/fuzz/.
FUZZ_SECONDS  := 60
FUZZ          := $(BUILD)/fuzz
FUZZ_LOAD_SRC := tests/fuzz/fuzz_load.c guests/elf.c guests/gunzip.c guests/load.c guests/load_linux.c \
	guests/load_multiboot.c guests/load_pvh.c guests/load_segments.c lib/reason.c mm/gmem.c

$(FUZZ)/fuzz_load: $(FUZZ_LOAD_SRC) $(ZLIB_SRC) Makefile
	@mkdir -p $(@D)
	$(call say,CLANG)
	$(Q)clang -std=gnu17 -g -O1 -w -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -I. \
		$(ZLIB_CFLAGS) -o $@ $(FUZZ_LOAD_SRC) $(ZLIB_SRC)

fuzz: $(FUZZ)/fuzz_load tiny-guests payloads
	@mkdir -p $(FUZZ)/corpus
	@tests/fuzz/make-seeds $(FUZZ)/seeds $(PAYLOAD)/vmlinuz $(addprefix $(BUILD)/guests/,pvh64.elf pvh.elf hello.elf)
	$(FUZZ)/fuzz_load -max_total_time=$(FUZZ_SECONDS) -max_len=65536 -timeout=10 -verbosity=1 \
		-artifact_prefix=$(FUZZ)/ $(FUZZ)/corpus $(FUZZ)/seeds

# ---- guests for the demonstration and the system tests ----

PAYLOAD := $(BUILD)/payload
LINUX   := 6.1.0-50
INSTALLER := usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64

# One file of a package each: payload, package, file in it.
PAYLOAD_FILES := \
	vmlinuz:linux-image-$(LINUX)-cloud-amd64:boot/vmlinuz-$(LINUX)-cloud-amd64 \
	vmlinuz-generic:linux-image-$(LINUX)-amd64:boot/vmlinuz-$(LINUX)-amd64 \
	vmlinuz-686:linux-image-$(LINUX)-686.i386:boot/vmlinuz-$(LINUX)-686 \
	vmlinuz-686-pae:linux-image-$(LINUX)-686-pae.i386:boot/vmlinuz-$(LINUX)-686-pae \
	invaders.exec:grub-invaders:boot/invaders.exec \
	memtest:memtest86+:boot/memtest86+x64.bin \
	bios.bin:seabios:usr/share/seabios/bios-256k.bin \
	linuxboot.bin:qemu-system-data:usr/share/qemu/linuxboot_dma.bin \
	ovmf.fd:ovmf:usr/share/ovmf/OVMF.fd \
	ipxe.lkrn:ipxe:boot/ipxe.lkrn \
	installer-linux:debian-installer-12-netboot-amd64:$(INSTALLER)/linux \
	installer-initrd.gz:debian-installer-12-netboot-amd64:$(INSTALLER)/initrd.gz

define PAYLOAD_RULE
$$(PAYLOAD)/$(1): $$(TP)/$(2).stamp
	@mkdir -p $$(@D)
	$$(call say,COPY)
	$$(Q)cp $$(TP)/$(2)/$(3) $$@
endef
payload_part = $(word $(1),$(subst :, ,$(2)))
$(foreach f,$(PAYLOAD_FILES),$(eval $(call PAYLOAD_RULE,$(call payload_part,1,$(f)),$(call payload_part,2,$(f)),$(call payload_part,3,$(f)))))

$(PAYLOAD)/initrd.gz: $(TP)/busybox-static.stamp
$(PAYLOAD)/initrd-686.gz: $(TP)/busybox-static.i386.stamp
$(PAYLOAD)/initrd.gz $(PAYLOAD)/initrd-686.gz: tools/make-initrd
	@mkdir -p $(@D)
	$(call say,INITRD)
	$(Q)tools/make-initrd -o $@ --busybox $(patsubst %.stamp,%,$(filter %.stamp,$^))/bin/busybox

PAYLOADS := $(foreach f,$(PAYLOAD_FILES),$(PAYLOAD)/$(call payload_part,1,$(f))) \
	$(PAYLOAD)/initrd.gz $(PAYLOAD)/initrd-686.gz

payloads: $(PAYLOADS)

# ---- demonstration ----

QEMU       := qemu-system-x86_64
QEMU_ACCEL := tcg,thread=multi
QEMU_CPU   := max

$(PAYLOAD)/demo.json: tools/demo.json
	@mkdir -p $(@D)
	$(call say,COPY)
	$(Q)cp $< $@

$(OUT)/demo.iso: $(OUT)/skerry.elf $(PAYLOAD)/demo.json $(PAYLOAD)/vmlinuz $(PAYLOAD)/initrd.gz \
		tools/skerry-iso
	$(call say,ISO)
	$(Q)tools/skerry-iso -o $@ --hypervisor $(OUT)/skerry.elf $(PAYLOAD)/demo.json

demo: $(OUT)/demo.iso

# What a fresh machine lacks is installed before a second make looks at what needs it.
SETUP_STEP := $(if $(filter no,$(SETUP)),true,tools/setup)

run:
	@$(SETUP_STEP)
	@$(MAKE) --no-print-directory demo
	@echo "Ctrl-] leaves the guest for the administrator's shell; 'poweroff' there ends the machine."
	@echo "(Ctrl-A X ends the emulator itself.)"
	$(QEMU) -machine q35 -accel $(QEMU_ACCEL) -cpu $(QEMU_CPU) -smp 4 -m 2G -net none -display none -serial mon:stdio \
		-cdrom $(OUT)/demo.iso

# ---- tests ----

# The tiny guests: one assembly file each. bench is there twice, for 32-bit and 64-bit mode, and pvh
# as a file of both classes of ELF.
TINY_GUESTS := $(filter-out rom,$(basename $(notdir $(wildcard tests/guests/*.S)))) bench64 pvh64
TINY_ELF    := $(TINY_GUESTS:%=$(BUILD)/guests/%.elf)
TINY_DEPS   := tests/guests/guest.h tests/guests/checks.h tests/guests/guest.ld tests/guests/pvh.ld Makefile

$(BUILD)/guests/pvh64.o: tests/guests/pvh.S $(TINY_DEPS)
	@mkdir -p $(@D)
	$(call say,AS)
	$(Q)gcc -m64 -DELF64 -c -o $@ $<

$(BUILD)/guests/%64.o: tests/guests/%.S $(TINY_DEPS)
	@mkdir -p $(@D)
	$(call say,AS)
	$(Q)gcc -m32 -DLONG -c -o $@ $<

$(BUILD)/guests/%.o: tests/guests/%.S $(TINY_DEPS)
	@mkdir -p $(@D)
	$(call say,AS)
	$(Q)gcc -m32 -c -o $@ $<

$(BUILD)/guests/%.elf: $(BUILD)/guests/%.o
	$(call say,LD)
	$(Q)$(LD) -m $(or $(GUEST_ELF),elf_i386) -z max-page-size=4096 --fatal-warnings -T $(or $(GUEST_LD),tests/guests/guest.ld) -o $@ $<

$(BUILD)/guests/pvh.elf $(BUILD)/guests/pvh64.elf: GUEST_LD := tests/guests/pvh.ld
$(BUILD)/guests/pvh64.elf: GUEST_ELF := elf_x86_64

# In 64-bit mode with addresses of data as 64-bit code has them, which only ELF64 can express; the
# loader is given the 32-bit kind.
$(BUILD)/guests/large_state.o: tests/guests/large_state.S $(TINY_DEPS)
	@mkdir -p $(@D)
	$(call say,AS)
	$(Q)gcc -m64 -DLONG -c -o $@ $<

$(BUILD)/guests/large_state.elf64: $(BUILD)/guests/large_state.o tests/guests/guest.ld
	$(call say,LD)
	$(Q)$(LD) -m elf_x86_64 -z max-page-size=4096 --fatal-warnings -T tests/guests/guest.ld -o $@ $<

$(BUILD)/guests/large_state.elf: $(BUILD)/guests/large_state.elf64
	$(call say,OBJCOPY)
	$(Q)objcopy -O elf32-i386 $< $@

# A list of symbols for `trace`.
$(BUILD)/guests/%.map: $(BUILD)/guests/%.elf
	$(Q)nm $< >$@

$(BUILD)/guests/rom.bin: $(BUILD)/guests/rom.o
	$(call say,LD)
	$(Q)$(LD) -m elf_i386 -Ttext=0xffff0000 --oformat=binary -o $@ $<

tiny-guests: $(TINY_ELF) $(BUILD)/guests/rom.bin $(BUILD)/guests/exits.map $(BUILD)/guests/triple_fault.map

tools:
	@tests/run tools

layering:
	@tests/run layering

# The tests boot gcc's builds, whatever CC and DEBUG say.
gcc-builds:
	@$(MAKE) --no-print-directory CC=gcc DEBUG= all
	@$(MAKE) --no-print-directory CC=gcc DEBUG=1 all

system: gcc-builds payloads tiny-guests
	@tests/run system $(TESTS)

test:
	@$(SETUP_STEP)
	@tests/run all

test-long:
	@$(SETUP_STEP)
	@tests/run long

# What the bench adds to QEMU, and the programs that its Linux runs.
BENCH       := $(BUILD)/bench
BENCH_FLAGS := -std=gnu17 -O2 $(WARNINGS)

$(BENCH)/marks.so: tests/bench/marks.c Makefile
	@mkdir -p $(@D)
	$(call say,HOSTCC)
	$(Q)$(HOST_CC) $(BENCH_FLAGS) -shared -fPIC -fvisibility=hidden -o $@ $<

$(BENCH)/init: tests/bench/init.c Makefile
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)gcc $(BENCH_FLAGS) -ffreestanding -fno-stack-protector -nostdlib -static -o $@ $<

$(BENCH)/tiny: tests/bench/tiny.S Makefile
	@mkdir -p $(@D)
	$(call say,AS)
	$(Q)gcc -nostdlib -static -o $@ $<

bench: gcc-builds tiny-guests $(addprefix $(BENCH)/,marks.so init tiny) $(PAYLOAD)/vmlinuz-generic \
		$(TP)/busybox-static.stamp
	@tests/bench/run $(BENCH_ARGS)

# The same, and the document's tables and plots made anew.
bench-update:
	@$(MAKE) --no-print-directory bench BENCH_ARGS=--update

format-check:
	@clang-format --dry-run -Werror $$(git ls-files '*.c' '*.h' ':!tests/guests')

# ---- the rest ----

clean:
	rm -rf $(BUILD)

help:
	@echo "make run           boot a Linux guest on Skerry in QEMU (installs what is missing)"
	@echo "make test          build with gcc and clang, run every test (installs what is missing)"
	@echo "make               build/skerry.elf, the hypervisor; CC=clang: build/clang/skerry.elf"
	@echo "make DEBUG=1       build/debug/skerry.elf, which checks its lock order as it runs"
	@echo "make unit          unit tests only"
	@echo "make tools         tests of the programs in tools/ only"
	@echo "make layering      which folder may use which, only"
	@echo "make system        system tests only; TESTS='-k NAME' chooses"
	@echo "make test-long     system tests that take long"
	@echo "make bench         instructions per exit, and Linux against bare; what changed"
	@echo "make bench-update  the same, and write the figures into docs/performance.md"
	@echo "make fuzz          random images for the loaders, for FUZZ_SECONDS=60"
	@echo "make demo          build/demo.iso, what 'make run' boots"
	@echo "make payloads      the guests of demonstration and tests, to build/payload/"
	@echo "make format-check  is the layout of the sources clang-format's?"
	@echo "make clean         remove build/"
	@echo
	@echo "SETUP=no           with run and test: install nothing"
	@echo "QEMU_ACCEL=kvm QEMU_CPU=host   with run: on a machine with nested virtualization"

FORCE:
.PHONY: all FORCE gcc-builds tiny-guests unit payloads demo run tools layering system test test-long bench bench-update fuzz format-check clean help

-include $(addsuffix .d,$(ALL_OBJ) $(UNIT_OBJ)) $(OUT)/offsets.d
