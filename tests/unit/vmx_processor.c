/* A processor with VMX, played; see vmx_processor.h. */
#include "tests/unit/vmx_processor.h"

#include "arch/x86/cpu.h"

#define REVISION 0x4711u

struct core cores[CPU_CORES];
unsigned current_core;
struct cpuid_regs cpu_leaves[2];
struct writes writes;
struct epochs epochs;
enum fate fate;
void (*guest)(struct hv_vcpu *who, struct vmcs *s);
struct vmcs entered;
unsigned entries;

static struct vmcs structures[CPU_STRUCTURES];
static struct {
	uint64_t pa;
	uint8_t *va;
	unsigned pages;
} memory[16];
static unsigned n_memory;

const char vmx_exit_entry[1];

struct core *processor_core(void)
{
	return &cores[current_core];
}

static uint64_t noise(void)
{
	static uint64_t x = 0x853c49e6748fea9b;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x;
}

/* ---- memory and MSRs ---- */

void processor_memory(uint64_t pa, void *va, unsigned pages)
{
	assert_true(n_memory < ARRAY_SIZE(memory));
	memory[n_memory].pa = pa;
	memory[n_memory].va = va;
	memory[n_memory++].pages = pages;
}

static uint8_t *page_at(uint64_t pa)
{
	assert_int_equal(pa % PAGE_SIZE, 0);
	for (unsigned i = 0; i < n_memory; i++) {
		uint64_t at = pa - memory[i].pa;

		if (at < memory[i].pages * PAGE_SIZE)
			return memory[i].va + at;
	}
	fail_msg("no memory at 0x%llx", (unsigned long long)pa);
	return NULL;
}

uint64_t *processor_msr(struct core *c, uint32_t index)
{
	for (unsigned i = 0; i < CPU_MSRS; i++) {
		if (c->msr[i].index == index || !c->msr[i].index) {
			c->msr[i].index = index;
			return &c->msr[i].value;
		}
	}
	fail_msg("too many MSRs");
	return NULL;
}

uint64_t rdmsr(uint32_t msr)
{
	return *processor_msr(processor_core(), msr);
}

static void assert_canonical(uint64_t address)
{
	assert_int_equal((uint64_t)((int64_t)(address << 16) >> 16), address);
}

/* What the processor answers with #GP fails. */
void wrmsr(uint32_t msr, uint64_t v)
{
	switch (msr) {
	case 0xc0000082: /* LSTAR, CSTAR, FS, GS, kernel GS */
	case 0xc0000083:
	case 0xc0000100:
	case 0xc0000101:
	case 0xc0000102:
		assert_canonical(v);
		break;
	case 0xc0000084: /* SFMASK */
		assert_int_equal(v >> 32, 0);
		break;
	case MSR_FEATURE_CONTROL:
		assert_false(rdmsr(msr) & FEATURE_CONTROL_LOCK);
		break;
	}
	*processor_msr(processor_core(), msr) = v;
}

struct cpuid_regs cpuid(uint32_t leaf, uint32_t subleaf)
{
	assert_int_equal(subleaf, 0);
	assert_true(leaf == 7 || leaf == 0x80000008);
	return cpu_leaves[leaf != 7];
}

/* ---- registers ---- */

uint64_t read_cr0(void)
{
	return processor_core()->cr0;
}

uint64_t read_cr2(void)
{
	return processor_core()->cr2;
}

void write_cr2(uint64_t v)
{
	processor_core()->cr2 = v;
}

uint64_t read_cr3(void)
{
	return processor_core()->cr3;
}

uint64_t read_cr4(void)
{
	return processor_core()->cr4;
}

void write_cr4(uint64_t v)
{
	assert_true(!processor_core()->on || (v & CR4_VMXE));
	processor_core()->cr4 = v;
}

uint64_t read_dr6(void)
{
	return processor_core()->dr6;
}

void write_dr6(uint64_t v)
{
	assert_int_equal(v >> 32, 0); /* #GP */
	processor_core()->dr6 = v;
}

bool irq_save(void)
{
	bool on = processor_core()->irqs;

	processor_core()->irqs = false;
	return on;
}

void irq_restore(bool on)
{
	if (on)
		processor_core()->irqs = true;
}

struct table_state read_gdtr(void)
{
	return processor_core()->gdtr;
}

struct table_state read_idtr(void)
{
	return processor_core()->idtr;
}

void load_tables(struct table_state gdtr, struct table_state idtr)
{
	processor_core()->gdtr = gdtr;
	processor_core()->idtr = idtr;
}

uint16_t read_cs(void)
{
	return 0x08;
}

uint16_t read_ss(void)
{
	return 0x10;
}

uint16_t read_tr(void)
{
	return 0x28;
}

void raise_nmi(void)
{
	processor_core()->nmis++;
}

struct percpu *this_cpu(void)
{
	static struct percpu percpus[CPU_CORES];

	percpus[current_core].tss =
		(struct tss *)(uintptr_t)(0x7ff000001000 + current_core * PAGE_SIZE);
	return &percpus[current_core];
}

uint64_t ns_to_tsc(uint64_t ns)
{
	return 3 * ns;
}

/* ---- structures ---- */

/* A place in the structure that only the processor writes: software that makes it anew clears it,
 * and then nothing is left of what it held. */
static uint32_t *mark_of(uint64_t pa)
{
	return (uint32_t *)(void *)(page_at(pa) + 2048);
}

static struct vmcs *structure_at(uint64_t pa)
{
	struct vmcs *free_one = NULL;

	for (unsigned i = 0; i < CPU_STRUCTURES; i++) {
		if (structures[i].pa == pa)
			return &structures[i];
		if (!structures[i].pa && !free_one)
			free_one = &structures[i];
	}
	assert_non_null(free_one);
	free_one->pa = pa;
	free_one->active_on = NOWHERE;
	return free_one;
}

struct vmcs *processor_vmcs(uint64_t pa)
{
	for (unsigned i = 0; i < CPU_STRUCTURES; i++) {
		if (structures[i].pa == pa)
			return &structures[i];
	}
	fail_msg("no VMCS at 0x%llx", (unsigned long long)pa);
	return NULL;
}

/* Looks at the memory, as the processor does. */
static struct vmcs *fetch(uint64_t pa)
{
	const struct core *c = processor_core();
	struct vmcs *s;
	uint32_t revision;

	assert_true(c->on);
	assert_int_not_equal(pa, c->vmxon_pa);
	memcpy(&revision, page_at(pa), sizeof(revision));
	assert_int_equal(revision, REVISION);
	s = structure_at(pa);
	if (*mark_of(pa) != REVISION) {
		for (unsigned i = 0; i < CPU_FIELDS; i++)
			s->field[i] = noise();
		memset(s->known, 0, sizeof(s->known));
		*mark_of(pa) = REVISION;
		s->launched = false;
	}
	return s;
}

void vmclear(uint64_t pa)
{
	struct vmcs *s = fetch(pa);

	/* what it has cached of it, another core would not write back */
	assert_true(s->active_on == NOWHERE || s->active_on == (int)current_core);
	s->active_on = NOWHERE;
	s->launched = false;
	if (processor_core()->vmcs == pa)
		processor_core()->vmcs = NO_CURRENT;
}

void vmptrld(uint64_t pa)
{
	struct vmcs *s = fetch(pa);

	assert_true(s->active_on == NOWHERE || s->active_on == (int)current_core);
	s->active_on = (int)current_core;
	processor_core()->vmcs = pa;
}

uint64_t vmptrst(void)
{
	assert_true(processor_core()->on);
	return processor_core()->vmcs;
}

bool vmxon(uint64_t pa)
{
	struct core *c = processor_core();
	uint64_t control = rdmsr(MSR_FEATURE_CONTROL);
	uint32_t revision;

	assert_false(c->on);
	assert_true(c->cr4 & CR4_VMXE);
	assert_int_equal(control & 5, 5); /* #GP */
	memcpy(&revision, page_at(pa), sizeof(revision));
	if (revision != REVISION)
		return false;
	c->on = true;
	c->vmxon_pa = pa;
	c->vmcs = NO_CURRENT;
	return true;
}

void vmxoff(void)
{
	struct core *c = processor_core();

	assert_true(c->on);
	c->on = false;
}

struct vmcs *processor_current(void)
{
	struct vmcs *s;

	assert_true(processor_core()->on);
	assert_int_not_equal(processor_core()->vmcs, NO_CURRENT);
	s = processor_vmcs(processor_core()->vmcs);
	assert_int_equal(s->active_on, current_core);
	return s;
}

/* ---- fields ("Field Encoding in VMCS") ---- */

static bool exists(uint32_t field)
{
	static const struct {
		uint16_t first, last;
	} ranges[] = {
		{0x0800, 0x080e}, {0x0c00, 0x0c0c}, {0x2000, 0x2004}, {0x2010, 0x2012},
		{0x201a, 0x201a}, {0x2400, 0x2400}, {0x2800, 0x2806}, {0x280a, 0x2810},
		{0x2c00, 0x2c02}, {0x4000, 0x401e}, {0x4400, 0x440e}, {0x4800, 0x4828},
		{0x482a, 0x482a}, {0x4c00, 0x4c00}, {0x6000, 0x600e}, {0x6400, 0x640a},
		{0x6800, 0x6826}, {0x6c00, 0x6c16},
	};

	if (field == 0x0000)
		return vmx_controls.capabilities.secondary >> 32 & BIT(5);
	if (field == 0x482e)
		return vmx_controls.capabilities.pin >> 32 & BIT(6);
	for (unsigned i = 0; i < ARRAY_SIZE(ranges); i++) {
		if (field >= ranges[i].first && field <= ranges[i].last)
			return !(field & 1);
	}
	return false;
}

static uint64_t cut(uint32_t field, uint64_t v)
{
	static const uint64_t widths[] = {0xffff, UINT64_MAX, UINT32_MAX, UINT64_MAX};

	return v & widths[field >> 13 & 3];
}

uint64_t vmread(uint32_t field)
{
	if (!exists(field))
		fail_msg("VMREAD of field 0x%x", field);
	return cut(field, processor_current()->field[field]);
}

void vmwrite(uint32_t field, uint64_t v)
{
	struct vmcs *s = processor_current();

	if (!exists(field) || (field >> 10 & 3) == 1) /* read-only */
		fail_msg("VMWRITE to field 0x%x", field);
	s->field[field] = cut(field, v);
	s->known[field] = true;
	if (writes.n < ARRAY_SIZE(writes.field))
		writes.field[writes.n] = field;
	writes.n++;
}

bool was_written(uint32_t field)
{
	assert_true(writes.n <= ARRAY_SIZE(writes.field));
	for (unsigned i = 0; i < writes.n; i++) {
		if (writes.field[i] == field)
			return true;
	}
	return false;
}

/* ---- cached translations ---- */

/* INVEPT drops what came of an EPTP under all tags; INVVPID what has a tag, but for 0. */
void invept(uint64_t type, uint64_t eptp)
{
	struct core *c = processor_core();

	assert_true(c->on);
	assert_true(type == INVEPT_SINGLE || type == INVEPT_ALL);
	if (type == INVEPT_SINGLE)
		assert_int_equal(eptp & 0xf80, 0);
	for (unsigned i = 0; i < CPU_VPIDS; i++)
		c->tagged[i].second = NONE_CACHED; /* linear mappings stay */
	c->guest_physical.owner = NULL;
	c->invepts++;
}

void invvpid(uint64_t type)
{
	struct core *c = processor_core();

	assert_true(c->on);
	assert_true(vmx_controls.capabilities.ept_vpid & BIT(32));
	assert_int_equal(type, INVVPID_ALL);
	memset(&c->tagged[1], 0, sizeof(c->tagged) - sizeof(c->tagged[0]));
	c->invvpids++;
}

/* ---- entries and exits ---- */

/* The processor reads them at each entry or exit, all but those that need not be there. */
static void check_known(const struct vmcs *s)
{
	bool event = s->field[VMCS_ENTRY_EVENT] & EVENT_VALID;
	bool soft = event && (s->field[VMCS_ENTRY_EVENT] >> EVENT_TYPE_SHIFT & 7) >= 4;
	bool error = event && (s->field[VMCS_ENTRY_EVENT] & EVENT_ERROR_VALID);
	bool pae = (s->field[VMCS_GUEST_CR0] & CR0_PG) && (s->field[VMCS_GUEST_CR4] & CR4_PAE) &&
		   !(s->field[VMCS_GUEST_EFER] & EFER_LMA);

	for (uint32_t field = 0; field < CPU_FIELDS; field += 2) {
		if (!exists(field) || (field >> 10 & 3) == 1 || s->known[field])
			continue;
		if ((field == VMCS_ENTRY_EVENT_ERROR && !error) ||
		    (field == VMCS_ENTRY_INSN_LEN && !soft) ||
		    (field >= VMCS_GUEST_PDPTE0 && field <= VMCS_GUEST_PDPTE0 + 6 && !pae) ||
		    (field >= 0x6008 && field <= 0x600e) || /* CR3 targets, of which are none */
		    field == 0x4828)                        /* SMBASE */
			continue;
		if (field == VMCS_PREEMPTION_TIMER &&
		    !(s->field[VMCS_PIN_CONTROLS] & PIN_PREEMPTION_TIMER))
			continue;
		if (field == VMCS_VPID && !(s->field[VMCS_SECONDARY_CONTROLS] & SECONDARY_VPID))
			continue;
		fail_msg("field 0x%x was never written", field);
	}
}

/* An exit loads from the structure what the host had. */
static void check_host(const struct vmcs *s)
{
	const struct core *c = processor_core();

	assert_int_equal(s->field[VMCS_HOST_CR0], c->cr0);
	assert_int_equal(s->field[VMCS_HOST_CR3], c->cr3);
	assert_int_equal(s->field[VMCS_HOST_CR4], c->cr4);
	assert_int_equal(s->field[VMCS_HOST_CS_SEL], 0x08);
	assert_int_equal(s->field[VMCS_HOST_SS_SEL], 0x10);
	assert_int_equal(s->field[VMCS_HOST_TR_SEL], 0x28);
	assert_int_equal(s->field[VMCS_HOST_FS_BASE], rdmsr(0xc0000100));
	assert_int_equal(s->field[VMCS_HOST_GS_BASE], rdmsr(0xc0000101));
	assert_int_equal(s->field[VMCS_HOST_TR_BASE], (uintptr_t)this_cpu()->tss);
	assert_int_equal(s->field[VMCS_HOST_GDTR_BASE], c->gdtr.base);
	assert_int_equal(s->field[VMCS_HOST_IDTR_BASE], c->idtr.base);
	assert_int_equal(s->field[VMCS_HOST_PAT], rdmsr(0x277));
	assert_int_equal(s->field[VMCS_HOST_EFER], rdmsr(0xc0000080));
	assert_int_equal(s->field[VMCS_HOST_RIP], (uintptr_t)vmx_exit_entry);
}

/* Nobody else's translations, and none from before they became stale. */
static void use_translations(const struct hv_vcpu *who, const struct vmcs *s)
{
	struct core *c = processor_core();
	unsigned linear = epochs.linear[who - epochs.first];
	bool tags = s->field[VMCS_SECONDARY_CONTROLS] & SECONDARY_VPID;
	struct cached *tag = &c->tagged[tags ? s->field[VMCS_VPID] : 0];

	if (tags)
		assert_int_not_equal(s->field[VMCS_VPID], 0);
	else
		tag->owner = NULL; /* dropped by the entry itself */
	if (tag->owner) {
		assert_ptr_equal(tag->owner, who);
		assert_int_equal(tag->linear, linear);
		if (tag->second != NONE_CACHED)
			assert_int_equal(tag->second, epochs.second);
	}
	if (c->guest_physical.owner)
		assert_int_equal(c->guest_physical.second, epochs.second);
	*tag = (struct cached){who, linear, epochs.second};
	c->guest_physical = *tag;
}

/* Delivering an event, or the first instruction, ends what blocked events until then. */
static void begin(struct vmcs *s)
{
	uint64_t event = s->field[VMCS_ENTRY_EVENT];

	s->field[VMCS_INTERRUPTIBILITY] &= BLOCKED_BY_NMI;
	if ((event & EVENT_VALID) && (event >> EVENT_TYPE_SHIFT & 7) == EVENT_TYPE_NMI)
		s->field[VMCS_INTERRUPTIBILITY] |= BLOCKED_BY_NMI;
	s->field[VMCS_PENDING_DEBUG] = 0;
}

static void leave(struct hv_vcpu *who, struct vmcs *s)
{
	struct core *c = processor_core();

	for (uint32_t field = 0x4400; field < 0x4410; field += 2)
		s->field[field] = 0;
	s->field[VMCS_EXIT_INSN_LEN] = 0xee; /* means nothing but after instructions */
	s->field[VMCS_EXIT_REASON] = REASON_INTERRUPT;
	s->field[VMCS_QUALIFICATION] = 0;
	if (guest)
		guest(who, s);
	s->field[VMCS_ENTRY_EVENT] &= ~(uint64_t)EVENT_VALID;
	s->field[VMCS_ENTRY_CONTROLS] &= ~(uint64_t)ENTRY_CTL_LONG_MODE;
	if (s->field[VMCS_GUEST_EFER] & EFER_LMA)
		s->field[VMCS_ENTRY_CONTROLS] |= ENTRY_CTL_LONG_MODE;
	c->gdtr.limit = c->idtr.limit = 0xffff;
}

/* VMLAUNCH or VMRESUME until the exit; true: there was no entry. */
static bool enter(struct hv_vcpu *who)
{
	struct vmcs *s = processor_current();
	struct vmx_audit audit;
	struct reason why = {""};

	assert_false(processor_core()->irqs);
	assert_int_equal(s->pa, who->pages.pa.v);
	assert_int_equal(s->launched, who->launched);
	if (fate == ENTRY_NOT_TAKEN) {
		s->field[VMCS_INSN_ERROR] = 7;
		return true;
	}
	if (fate == ENTRY_REFUSED) {
		s->field[VMCS_EXIT_REASON] = REASON_ENTRY_FAILED | REASON_BAD_GUEST_STATE;
		s->field[VMCS_QUALIFICATION] = 3;
		return false;
	}
	check_known(s);
	check_host(s);
	vmx_copy(who, &audit);
	if (vmx_audit(&audit, &why))
		fail_msg("refused: %s", why.text);
	use_translations(who, s);
	entered = *s;
	entries++;
	s->launched = true;
	begin(s);
	leave(who, s);
	return false;
}

/* What switch.S does. */
void vmx_run(struct hv_vcpu *who, struct vm_exit *exit)
{
	const uint64_t stack = 0xffff900000001000 + current_core * 0x10000;
	bool failed;

	vmx_before_entry(who);
	if (who->host_stack != stack) {
		who->host_stack = stack;
		vmwrite(VMCS_HOST_RSP, stack);
	}
	assert_int_equal(processor_current()->field[VMCS_HOST_RSP], stack);
	failed = enter(who);
	vmx_after_exit(who, exit, failed);
}

/* ---- the beginning ---- */

void processor_capabilities(void)
{
	static const struct {
		uint32_t msr;
		uint64_t value;
	} values[] = {
		{MSR_FEATURE_CONTROL, 5},
		{MSR_VMX_BASIC, 0x00da040000000000 | REVISION},
		{MSR_VMX_MISC, 0x7004c1e7},
		{MSR_VMX_TRUE_PIN, 0x7f00000016},
		{MSR_VMX_TRUE_PRIMARY, 0xfff9fffe04006172},
		{MSR_VMX_TRUE_EXIT, 0x01ffffff00036dfb},
		{MSR_VMX_TRUE_ENTRY, 0x0003ffff000011fb},
		{MSR_VMX_SECONDARY, 0x00ffffff00000000},
		{MSR_VMX_EPT_VPID, 0x0f0106734141},
		{MSR_VMX_CR0_FIXED0, 0x80000021},
		{MSR_VMX_CR0_FIXED1, 0xffffffff},
		{MSR_VMX_CR4_FIXED0, 0x2000},
		{MSR_VMX_CR4_FIXED1, 0x7727ff},
		{0x277, 0x0007040600070406},
		{0xc0000080, 0xd01},
		{0xc0000100, 0},
	};

	for (unsigned i = 0; i < CPU_CORES; i++) {
		for (unsigned k = 0; k < ARRAY_SIZE(values); k++)
			*processor_msr(&cores[i], values[k].msr) = values[k].value;
		for (unsigned k = 0; k < 5; k++) /* the host's own STAR to SFMASK, and GS */
			*processor_msr(&cores[i], 0xc0000081 + k) = 0x1000 * (i + 1) + k;
		*processor_msr(&cores[i], 0xc0000101) = 0xffff800000000000 + i * PAGE_SIZE;
		*processor_msr(&cores[i], 0xc0000102) = 0x3000 + i;
	}
	cpu_leaves[0] = (struct cpuid_regs){.ebx = BIT32(10)};
	cpu_leaves[1] = (struct cpuid_regs){.eax = 48 << 8 | 39};
}

void processor_reset(void)
{
	memset(cores, 0, sizeof(cores));
	memset(structures, 0, sizeof(structures));
	memset(&writes, 0, sizeof(writes));
	memset(&epochs, 0, sizeof(epochs));
	fate = ENTRY_WORKS;
	guest = NULL;
	entries = 0;
	n_memory = 0;
	current_core = 0;
	for (unsigned i = 0; i < CPU_CORES; i++) {
		cores[i].vmcs = NO_CURRENT;
		cores[i].cr0 = 0x80010033;
		cores[i].cr3 = 0x10000 * (i + 1);
		cores[i].cr4 = 0x6a0;
		cores[i].dr6 = 0xffff0ff0;
		cores[i].gdtr = (struct table_state){0xffff800000010000 + i * 0x1000, 0x5f};
		cores[i].idtr = (struct table_state){0xffff800000020000, 0xfff};
	}
	processor_capabilities();
}
