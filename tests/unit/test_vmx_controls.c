/* Choosing VMX controls from capability MSRs: what is required, forbidden, optional, and in words.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "arch/x86/state.h"
#include "arch/x86/vmx/controls.h"
#include "arch/x86/vmx/vmcs.h"

/* What must be 1 in each word of a CPU with "true" controls. */
#define PIN_MUST     0x16u
#define PRIMARY_MUST 0x04006172u
#define EXIT_MUST    0x36dfbu
#define ENTRY_MUST   0x11fbu

static struct vmx_capabilities c;
static struct vmx_controls out;
static struct reason why;

static uint64_t word(uint32_t must)
{
	return (uint64_t)UINT32_MAX << 32 | must;
}

static int setup(void **state)
{
	(void)state;
	c = (struct vmx_capabilities){
		.feature_control = FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMX,
		.basic = VMX_BASIC_TRUE_CONTROLS | 0x12,
		.misc = VMX_MISC_SAVES_LMA | 7,
		.pin = word(PIN_MUST),
		.primary = word(PRIMARY_MUST),
		.secondary = word(0),
		.exit = word(EXIT_MUST),
		.entry = word(ENTRY_MUST),
		.ept_vpid = UINT64_MAX,
		.cr0_fixed0 = 0x80000021,
		.cr0_fixed1 = UINT32_MAX,
		.cr4_fixed0 = 0x2000,
		.cr4_fixed1 = 0x3767ff,
		.rdtscp = true,
		.invpcid = true,
	};
	memset(&out, 0x5a, sizeof(out));
	return 0;
}

static int choose(void)
{
	return vmx_choose_controls(&c, 3, &out, &why);
}

static void all_there(void **state)
{
	(void)state;
	assert_int_equal(choose(), 0);
	assert_int_equal(out.revision, 0x12);
	assert_int_equal(out.timer_shift, 7);
	assert_true(out.vpid && out.ept_1g && out.ept_dirty);
	/* what must be 1 is, and nothing that nobody asked for */
	assert_int_equal(out.pin, PIN_MUST | PIN_EXTERNAL_INTERRUPT | PIN_NMI | PIN_VIRTUAL_NMI |
					  PIN_PREEMPTION_TIMER);
	assert_int_equal(out.primary, PRIMARY_MUST | PRIMARY_TSC_OFFSET | PRIMARY_HLT |
					      PRIMARY_MWAIT | PRIMARY_RDPMC | PRIMARY_TPR_SHADOW |
					      PRIMARY_IO_BITMAPS | PRIMARY_MSR_BITMAPS |
					      PRIMARY_MONITOR | PRIMARY_SECONDARY);
	assert_int_equal(out.secondary, SECONDARY_EPT | SECONDARY_UNRESTRICTED | SECONDARY_WBINVD |
						SECONDARY_RDTSCP | SECONDARY_INVPCID |
						SECONDARY_VPID);
	assert_false(out.entry & ENTRY_CTL_LONG_MODE); /* follows the guest */
	/* an unrestricted guest has PE and PG as it likes, but not NE */
	assert_int_equal(out.cr0_fixed0, CR0_NE);
	assert_int_equal(out.cr4_fixed0, CR4_VMXE);
}

static void assert_lacks(const char *name)
{
	assert_int_equal(choose(), ERR_UNSUPPORTED);
	assert_non_null(strstr(why.text, name));
	assert_non_null(strstr(why.text, "CPU 3"));
	setup(NULL);
}

/* Each bit of a word in turn that cannot be 1: it is missed if and only if it was chosen or is a
 * window that is needed later. */
static void each_bit_missing(uint64_t *member, uint32_t needed)
{
	for (unsigned bit = 0; bit < 32; bit++) {
		int err;

		setup(NULL);
		*member &= ~BIT(32 + bit);
		err = choose();
		if (needed & BIT32(bit))
			assert_int_equal(err, ERR_UNSUPPORTED);
		else
			assert_int_equal(err, 0);
	}
	setup(NULL);
}

static void what_is_required(void **state)
{
	struct vmx_controls all;

	(void)state;
	assert_int_equal(choose(), 0);
	all = out;
	each_bit_missing(&c.pin, all.pin & ~PIN_MUST & ~PIN_PREEMPTION_TIMER);
	each_bit_missing(&c.primary, (all.primary & ~PRIMARY_MUST) | PRIMARY_INTERRUPT_WINDOW |
					     PRIMARY_NMI_WINDOW);
	each_bit_missing(&c.secondary, all.secondary & ~SECONDARY_VPID);
	each_bit_missing(&c.exit, EXIT_CTL_HOST_64BIT | EXIT_CTL_SAVE_DEBUG | EXIT_CTL_SAVE_PAT |
					  EXIT_CTL_LOAD_PAT | EXIT_CTL_SAVE_EFER |
					  EXIT_CTL_LOAD_EFER);
	each_bit_missing(&c.entry, ENTRY_CTL_LOAD_DEBUG | ENTRY_CTL_LONG_MODE | ENTRY_CTL_LOAD_PAT |
					   ENTRY_CTL_LOAD_EFER);
	c.secondary &= ~((uint64_t)SECONDARY_EPT << 32);
	assert_lacks("\"EPT\"");
	c.secondary &= ~((uint64_t)SECONDARY_UNRESTRICTED << 32);
	assert_lacks("\"unrestricted guest\"");
	c.misc &= ~VMX_MISC_SAVES_LMA;
	assert_lacks("EFER.LMA");
}

/* Each is refused in a sentence with its name, as the Intel SDM has it. */
static void what_is_required_is_named(void **state)
{
	static const struct {
		size_t word;
		unsigned bit;
		const char *name;
	} rows[] = {
#define ROW(word, bit, name) {offsetof(struct vmx_capabilities, word), bit, "\"" name "\""}
		ROW(pin, 32 + 0, "external-interrupt exiting"),
		ROW(pin, 32 + 3, "NMI exiting"),
		ROW(pin, 32 + 5, "virtual NMIs"),
		ROW(primary, 32 + 2, "interrupt-window exiting"),
		ROW(primary, 32 + 3, "use TSC offsetting"),
		ROW(primary, 32 + 7, "HLT exiting"),
		ROW(primary, 32 + 10, "MWAIT exiting"),
		ROW(primary, 32 + 11, "RDPMC exiting"),
		ROW(primary, 32 + 21, "use TPR shadow"),
		ROW(primary, 32 + 22, "NMI-window exiting"),
		ROW(primary, 32 + 25, "use I/O bitmaps"),
		ROW(primary, 32 + 28, "use MSR bitmaps"),
		ROW(primary, 32 + 29, "MONITOR exiting"),
		ROW(primary, 32 + 31, "secondary controls (EPT)"),
		ROW(secondary, 32 + 1, "EPT"),
		ROW(secondary, 32 + 3, "enable RDTSCP"),
		ROW(secondary, 32 + 6, "WBINVD exiting"),
		ROW(secondary, 32 + 7, "unrestricted guest"),
		ROW(secondary, 32 + 12, "enable INVPCID"),
		ROW(exit, 32 + 2, "save debug controls"),
		ROW(exit, 32 + 9, "host address-space size"),
		ROW(exit, 32 + 18, "save IA32_PAT"),
		ROW(exit, 32 + 19, "load IA32_PAT"),
		ROW(exit, 32 + 20, "save IA32_EFER"),
		ROW(exit, 32 + 21, "load IA32_EFER"),
		ROW(entry, 32 + 2, "load debug controls"),
		ROW(entry, 32 + 9, "IA-32e mode guest"),
		ROW(entry, 32 + 14, "load IA32_PAT"),
		ROW(entry, 32 + 15, "load IA32_EFER"),
		ROW(ept_vpid, 6, "EPT page walks of four levels"),
		ROW(ept_vpid, 14, "write-back EPT paging structures"),
		ROW(ept_vpid, 16, "EPT pages of 2 MiB"),
		ROW(ept_vpid, 20, "INVEPT"),
		ROW(ept_vpid, 25, "single-context INVEPT"),
		ROW(ept_vpid, 26, "all-context INVEPT"),
		ROW(misc, 5, "EFER.LMA in the VM-entry controls"),
#undef ROW
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		*(uint64_t *)(void *)((uint8_t *)&c + rows[i].word) &= ~BIT(rows[i].bit);
		assert_lacks(rows[i].name);
	}
}

/* Whatever else the processor wants set is set, also a window: it would refuse the entry. */
static void what_must_be(void **state)
{
	const uint32_t forbidden = PRIMARY_CR3_LOAD | PRIMARY_CR3_STORE | PRIMARY_INVLPG;

	(void)state;
	for (unsigned bit = 0; bit < 32; bit++) {
		setup(NULL);
		c.pin |= BIT(bit);
		c.secondary |= BIT(bit);
		c.exit |= BIT(bit);
		c.entry |= BIT(bit) & ~(uint64_t)ENTRY_CTL_LONG_MODE; /* the guest's affair */
		c.primary |= BIT(bit) & ~(uint64_t)forbidden;
		assert_int_equal(choose(), 0);
		assert_int_equal(out.pin & (uint32_t)c.pin, (uint32_t)c.pin);
		assert_int_equal(out.primary & (uint32_t)c.primary, (uint32_t)c.primary);
		assert_int_equal(out.secondary & (uint32_t)c.secondary, (uint32_t)c.secondary);
		assert_int_equal(out.exit & (uint32_t)c.exit, (uint32_t)c.exit);
		assert_int_equal(out.entry & (uint32_t)c.entry, (uint32_t)c.entry);
	}
}

static void what_is_forbidden(void **state)
{
	static const uint32_t bits[] = {PRIMARY_CR3_LOAD, PRIMARY_CR3_STORE, PRIMARY_INVLPG};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(bits); i++) {
		setup(NULL);
		c.primary |= bits[i]; /* as on CPUs without "true" controls */
		assert_int_equal(choose(), ERR_UNSUPPORTED);
	}
}

static void instructions(void **state)
{
	(void)state;
	c.secondary &= ~((uint64_t)(SECONDARY_RDTSCP | SECONDARY_INVPCID) << 32);
	c.rdtscp = c.invpcid = false; /* a CPU that has neither */
	assert_int_equal(choose(), 0);
	assert_false(out.secondary & (SECONDARY_RDTSCP | SECONDARY_INVPCID));
	c.rdtscp = true;
	assert_lacks("RDTSCP");
	/* XSAVES is let through where the CPU has it and VMX can, and nobody is refused without */
	setup(NULL);
	assert_int_equal(choose(), 0);
	assert_false(out.secondary & SECONDARY_XSAVES);
	c.xsaves = true;
	assert_int_equal(choose(), 0);
	assert_true(out.secondary & SECONDARY_XSAVES);
	c.secondary &= ~((uint64_t)SECONDARY_XSAVES << 32);
	assert_int_equal(choose(), 0);
	assert_false(out.secondary & SECONDARY_XSAVES);
}

static void ept_and_vpid(void **state)
{
	static const uint64_t needed[] = {
		EPT_CAP_WALK_4, EPT_CAP_WRITE_BACK,    EPT_CAP_2M,
		EPT_CAP_INVEPT, EPT_CAP_INVEPT_SINGLE, EPT_CAP_INVEPT_ALL};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(needed); i++) {
		setup(NULL);
		c.ept_vpid &= ~needed[i];
		assert_int_equal(choose(), ERR_UNSUPPORTED);
	}
	setup(NULL);
	c.ept_vpid &= ~(EPT_CAP_1G | EPT_CAP_ACCESS_DIRTY);
	assert_int_equal(choose(), 0);
	assert_true(out.vpid && !out.ept_1g && !out.ept_dirty);
	/* tags that cannot be flushed are not used */
	c.ept_vpid &= ~EPT_CAP_INVVPID_ALL;
	assert_int_equal(choose(), 0);
	assert_false(out.vpid || (out.secondary & SECONDARY_VPID));
}

static void firmware(void **state)
{
	(void)state;
	c.feature_control = FEATURE_CONTROL_LOCK;
	assert_int_equal(choose(), ERR_UNSUPPORTED);
	assert_string_equal(why.text,
			    "VMX is switched off and locked by the firmware on CPU 3: enable Intel "
			    "Virtualization Technology (VT-x) in the firmware set-up");
	c.feature_control = 0; /* left to us */
	assert_int_equal(choose(), 0);
}

static void cores_are_told_apart(void **state)
{
	uint64_t first;

	(void)state;
	assert_int_equal(choose(), 0);
	first = vmx_feature_word(&out);
	c.ept_vpid &= ~EPT_CAP_1G;
	assert_int_equal(choose(), 0);
	assert_true(vmx_feature_word(&out) != first);
	setup(NULL);
	c.pin &= ~((uint64_t)PIN_PREEMPTION_TIMER << 32);
	assert_int_equal(choose(), 0);
	assert_true(vmx_feature_word(&out) != first);
	setup(NULL);
	c.misc ^= 1;
	assert_int_equal(choose(), 0);
	assert_true(vmx_feature_word(&out) != first);
	setup(NULL);
	c.secondary &= ~((uint64_t)SECONDARY_VPID << 32);
	assert_int_equal(choose(), 0);
	assert_true(vmx_feature_word(&out) != first);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(all_there, setup),
		cmocka_unit_test_setup(what_is_required, setup),
		cmocka_unit_test_setup(what_is_required_is_named, setup),
		cmocka_unit_test_setup(what_must_be, setup),
		cmocka_unit_test_setup(what_is_forbidden, setup),
		cmocka_unit_test_setup(instructions, setup),
		cmocka_unit_test_setup(ept_and_vpid, setup),
		cmocka_unit_test_setup(firmware, setup),
		cmocka_unit_test_setup(cores_are_told_apart, setup),
	};

	return cmocka_run_group_tests_name("VMX controls", tests, NULL, NULL);
}
