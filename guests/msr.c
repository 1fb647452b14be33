/*
 * The MSRs that a guest has. Those which the hardware switches (FS and GS bases, SYSCALL and
 * SYSENTER, PAT) are not seen here: vm_allow_msrs() lets them through. What is not listed gives
 * #GP. Sources: AMD64 Architecture Programmer's Manual, volume 2, "MSR Cross-Reference"; Intel SDM,
 * volume 4; Linux, Documentation/virt/kvm/x86/msr.rst.
 */
#include "arch/x86/asm.h"
#include "arch/x86/cpu.h"
#include "guests/vm.h"
#include "lib/string.h"

#define MSR_TSC            0x010u
#define MSR_PLATFORM_ID    0x017u
#define MSR_APIC_BASE      0x01bu
#define MSR_PRED_CMD       0x049u
#define MSR_PATCH_LEVEL    0x08bu
#define MSR_MTRR_CAP       0x0feu
#define MSR_SYSENTER_CS    0x174u
#define MSR_SYSENTER_ESP   0x175u
#define MSR_SYSENTER_EIP   0x176u
#define MSR_MCG_CAP        0x179u
#define MSR_MCG_STATUS     0x17au
#define MSR_MISC_ENABLE    0x1a0u
#define MSR_DEBUGCTL       0x1d9u
#define MSR_MTRR_VAR       0x200u /* base and mask of 8 ranges */
#define MSR_MTRR_FIX64K    0x250u
#define MSR_MTRR_FIX16K    0x258u /* 2 */
#define MSR_MTRR_FIX4K     0x268u /* 8 */
#define MSR_PAT            0x277u
#define MSR_MTRR_DEF       0x2ffu
#define MSR_TSC_DEADLINE   0x6e0u
#define MSR_XSS            0xda0u
#define MSR_X2APIC_FIRST   0x800u
#define MSR_X2APIC_LAST    0x8ffu
#define MSR_EFER           0xc0000080u
#define MSR_STAR           0xc0000081u
#define MSR_SFMASK         0xc0000084u
#define MSR_FS_BASE        0xc0000100u
#define MSR_KERNEL_GS_BASE 0xc0000102u
#define MSR_TSC_AUX        0xc0000103u
#define MSR_SYSCFG         0xc0010010u
#define MSR_HWCR           0xc0010015u
#define MSR_NB_CFG         0xc001001fu
#define MSR_INT_PENDING    0xc0010055u
#define MSR_DE_CFG         0xc0011029u

/* 8 variable ranges, fixed ranges, write-combining */
#define MTRR_CAP_VALUE  (8u | BIT(8) | BIT(10))
#define MTRR_DEF_ON     BIT(11)
#define MTRR_DEF_FIXED  BIT(10)
#define MTRR_WRITE_BACK 6u
#define MTRR_UNCACHED   0u
#define MTRR_VAR_ON     BIT(11)
#define MTRR_FIXED_VGA  2 /* index of the 16 KiB ranges from 0xa0000 */
/* no branch trace, no precise events; fast strings */
#define MISC_ENABLE_VALUE (BIT(0) | BIT(11) | BIT(12))
#define DE_CFG_LFENCE     BIT(1) /* LFENCE serialises, as on every CPU with SVM that runs this */
#define HWCR_TSC_FREQ_SEL BIT(24)

void vm_allow_msrs(struct vm *vm)
{
	for (uint32_t msr = MSR_STAR; msr <= MSR_SFMASK; msr++)
		hv->vm_allow_msr(&vm->hv, msr, true, true);
	for (uint32_t msr = MSR_FS_BASE; msr <= MSR_KERNEL_GS_BASE; msr++)
		hv->vm_allow_msr(&vm->hv, msr, true, true);
	for (uint32_t msr = MSR_SYSENTER_CS; msr <= MSR_SYSENTER_EIP; msr++)
		hv->vm_allow_msr(&vm->hv, msr, true, true);
	hv->vm_allow_msr(&vm->hv, MSR_PAT, true, true);
	if (vm->model.has_ibpb)
		hv->vm_allow_msr(&vm->hv, MSR_PRED_CMD, false, true);
}

/* ---- EFER ---- */

static bool write_efer(struct vcpu *v, uint64_t value)
{
	uint64_t old = hv->get_efer(&v->hv);

	if (value & ~v->vm->model.efer)
		return false;
	if (((value ^ old) & EFER_LME) && (hv->get_cr(&v->hv, 0) & CR0_PG))
		return false;
	/* LMA is the processor's own */
	hv->set_efer(&v->hv, (value & ~EFER_LMA) | (old & EFER_LMA));
	if ((value ^ old) & EFER_NXE)
		v->hv.flush_wanted = true;
	return true;
}

/* ---- time ---- */

static bool write_pv_time(struct vcpu *v, uint64_t value)
{
	struct vm *vm = v->vm;
	uint64_t gpa = value & ~MSR_KVM_SYSTEM_TIME_ON;
	uint64_t tsc = rdtsc() + v->hv.tsc_offset;

	if ((value & MSR_KVM_SYSTEM_TIME_ON) &&
	    (gpa & 3 || pvclock_write_time(&vm->mem, gpa, tsc, tsc_to_ns(tsc - v->tsc_adjust),
					   pvclock_scale(tsc_hz))))
		return false;
	v->pv_time_msr = value;
	return true;
}

/* The clock page follows, or the guest's clock would jump with its TSC. */
static void set_tsc_adjust(struct vcpu *v, uint64_t adjust)
{
	v->tsc_adjust = adjust;
	vcpu_tsc_changed(v);
	if (v->pv_time_msr & MSR_KVM_SYSTEM_TIME_ON)
		write_pv_time(v, v->pv_time_msr);
}

/* Writing the TSC changes TSC_ADJUST by the same amount (Intel SDM volume 3, "IA32_TSC_ADJUST
 * Support"). */
static void write_tsc(struct vcpu *v, uint64_t value)
{
	uint64_t now = rdtsc() + v->hv.tsc_offset;

	set_tsc_adjust(v, v->tsc_adjust + (value - now));
}

static bool write_pv_wall(struct vcpu *v, uint64_t value)
{
	if (pvclock_write_wall(&v->vm->mem, value, (uint32_t)v->vm->wall_at_zero, 0))
		return false;
	v->pv_wall_msr = value;
	return true;
}

/* ---- MTRRs: kept for the guest to read; memory types are not the guest's to choose ---- */

static uint64_t *mtrr(struct vcpu *v, uint32_t msr)
{
	if (msr - MSR_MTRR_VAR < ARRAY_SIZE(v->mtrr_var))
		return &v->mtrr_var[msr - MSR_MTRR_VAR];
	if (msr == MSR_MTRR_FIX64K)
		return &v->mtrr_fixed[0];
	if (msr - MSR_MTRR_FIX16K < 2)
		return &v->mtrr_fixed[1 + msr - MSR_MTRR_FIX16K];
	if (msr - MSR_MTRR_FIX4K < 8)
		return &v->mtrr_fixed[3 + msr - MSR_MTRR_FIX4K];
	return msr == MSR_MTRR_DEF ? &v->mtrr_def : NULL;
}

static bool mtrr_type_legal(uint8_t type)
{
	return type <= 6 && type != 2 && type != 3;
}

static bool mtrr_legal(const struct vcpu *v, uint32_t msr, uint64_t value)
{
	uint64_t beyond = ~(BIT(v->vm->model.phys_bits) - 1);

	if (msr == MSR_MTRR_DEF)
		return !(value & ~0xcffull) && mtrr_type_legal((uint8_t)value);
	if (msr - MSR_MTRR_VAR < ARRAY_SIZE(v->mtrr_var)) {
		if (msr & 1)
			return !(value & (beyond | 0x7ff));
		return !(value & (beyond | 0xf00)) && mtrr_type_legal((uint8_t)value);
	}
	for (unsigned i = 0; i < 8; i++) {
		if (!mtrr_type_legal((uint8_t)(value >> (8 * i))))
			return false;
	}
	return true;
}

/* Memory is write-back but for VGA's and the devices' below 4 GiB. */
void vcpu_reset_mtrrs(struct vcpu *v)
{
	const uint64_t write_back = 0x0606060606060606ull;

	v->mtrr_def = MTRR_DEF_ON | MTRR_DEF_FIXED | MTRR_WRITE_BACK;
	for (unsigned i = 0; i < ARRAY_SIZE(v->mtrr_fixed); i++)
		v->mtrr_fixed[i] = i == MTRR_FIXED_VGA ? 0 : write_back;
	memset(v->mtrr_var, 0, sizeof(v->mtrr_var));
	v->mtrr_var[0] = GMEM_HOLE_START | MTRR_UNCACHED;
	v->mtrr_var[1] =
		((BIT(v->vm->model.phys_bits) - 1) & ~(GMEM_HOLE_END - GMEM_HOLE_START - 1)) |
		MTRR_VAR_ON;
}

/* ---- the two ways in ---- */

bool vcpu_rdmsr(struct vcpu *v, uint32_t msr, uint64_t *value)
{
	const uint64_t *stored;

	switch (msr) {
	case MSR_TSC_ADJUST:
		*value = v->tsc_adjust;
		return true;
	case MSR_TSC_DEADLINE:
		*value = vlapic_tsc_deadline_read(v->lapic);
		return true;
	case MSR_X2APIC_FIRST ... MSR_X2APIC_LAST:
		return vlapic_msr_read(v->lapic, msr, value);
	case MSR_TSC:
		*value = rdtsc() + v->hv.tsc_offset;
		return true;
	case MSR_APIC_BASE:
		*value = vlapic_base_read(v->lapic);
		return true;
	case MSR_EFER:
		*value = hv->get_efer(&v->hv);
		return true;
	case MSR_TSC_AUX:
		*value = v->tsc_aux;
		return v->vm->model.has_rdtscp;
	case MSR_XSS: /* no supervisor component is offered */
		*value = 0;
		return v->vm->model.has_xsaves;
	case MSR_MTRR_CAP:
		*value = MTRR_CAP_VALUE;
		return true;
	case MSR_KVM_SYSTEM_TIME:
		*value = v->pv_time_msr;
		return true;
	case MSR_KVM_WALL_CLOCK:
		*value = v->pv_wall_msr;
		return true;
	case MSR_MISC_ENABLE: /* which Linux reads on Intel's CPUs without asking first */
		*value = MISC_ENABLE_VALUE;
		return true;
	case MSR_DE_CFG:
		*value = DE_CFG_LFENCE;
		return true;
	case MSR_HWCR:
		*value = HWCR_TSC_FREQ_SEL;
		return true;
	case MSR_PLATFORM_ID: /* which UEFI firmware reads on Intel's CPUs, for microcode's sake */
	case MSR_MCG_CAP:     /* no bank of machine-check registers */
	case MSR_MCG_STATUS:
	case MSR_PATCH_LEVEL:
	case MSR_DEBUGCTL:
	case MSR_SYSCFG:
	case MSR_NB_CFG:
	case MSR_INT_PENDING:
		*value = 0;
		return true;
	default:
		stored = mtrr(v, msr);
		if (stored)
			*value = *stored;
		return stored;
	}
}

bool vcpu_wrmsr(struct vcpu *v, uint32_t msr, uint64_t value)
{
	uint64_t *stored;

	switch (msr) {
	case MSR_TSC_DEADLINE:
		vlapic_tsc_deadline_write(v->lapic, value);
		return true;
	case MSR_X2APIC_FIRST ... MSR_X2APIC_LAST:
		return vlapic_msr_write(v->lapic, msr, value);
	case MSR_TSC_ADJUST:
		set_tsc_adjust(v, value);
		return true;
	case MSR_TSC:
		write_tsc(v, value);
		return true;
	case MSR_APIC_BASE:
		return !(value & ~(BIT(v->vm->model.phys_bits) - 1)) &&
		       vlapic_base_write(v->lapic, value);
	case MSR_EFER:
		return write_efer(v, value);
	case MSR_TSC_AUX:
		if (!v->vm->model.has_rdtscp || value >> 32)
			return false;
		v->tsc_aux = value;
		wrmsr(MSR_TSC_AUX, value); /* it is loaded */
		return true;
	case MSR_XSS:
		return v->vm->model.has_xsaves && value == 0;
	case MSR_KVM_SYSTEM_TIME:
		return write_pv_time(v, value);
	case MSR_KVM_WALL_CLOCK:
		return write_pv_wall(v, value);
	case MSR_MISC_ENABLE:
		return value == MISC_ENABLE_VALUE;
	case MSR_PATCH_LEVEL:
	case MSR_DEBUGCTL:
	case MSR_MCG_STATUS:
		/* what Linux writes there switches something off */
		return value == 0;
	case MSR_DE_CFG:
	case MSR_HWCR:
	case MSR_NB_CFG:
		/* Linux sets the bits that it reads as set already, and one for a configuration
		 * mechanism that this board's bridge does without; nothing comes of it */
		return true;
	default:
		stored = mtrr(v, msr);
		if (!stored || !mtrr_legal(v, msr, value))
			return false;
		*stored = value;
		return true;
	}
}
