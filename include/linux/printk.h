/* Messages: shown, with their values, in counterexamples (include/linux/printk.h). */
#pragma once

#define KERN_EMERG ""
#define KERN_ALERT ""
#define KERN_CRIT ""
#define KERN_ERR ""
#define KERN_WARNING ""
#define KERN_NOTICE ""
#define KERN_INFO ""
#define KERN_DEBUG ""
#define KERN_CONT ""

#define printk(fmt, ...) __hf_printk(fmt, ##__VA_ARGS__)
#define pr_emerg(fmt, ...) __hf_printk(fmt, ##__VA_ARGS__)
#define pr_alert(fmt, ...) __hf_printk(fmt, ##__VA_ARGS__)
#define pr_crit(fmt, ...) __hf_printk(fmt, ##__VA_ARGS__)
#define pr_err(fmt, ...) __hf_printk(fmt, ##__VA_ARGS__)
#define pr_warn(fmt, ...) __hf_printk(fmt, ##__VA_ARGS__)
#define pr_warning(fmt, ...) __hf_printk(fmt, ##__VA_ARGS__)
#define pr_notice(fmt, ...) __hf_printk(fmt, ##__VA_ARGS__)
#define pr_info(fmt, ...) __hf_printk(fmt, ##__VA_ARGS__)
#define pr_debug(fmt, ...) __hf_printk(fmt, ##__VA_ARGS__)
#define pr_cont(fmt, ...) __hf_printk(fmt, ##__VA_ARGS__)
#define printk_once(fmt, ...) __hf_printk(fmt, ##__VA_ARGS__)
#define pr_info_once(fmt, ...) __hf_printk(fmt, ##__VA_ARGS__)
#define pr_warn_once(fmt, ...) __hf_printk(fmt, ##__VA_ARGS__)
#define pr_err_ratelimited(fmt, ...) __hf_printk(fmt, ##__VA_ARGS__)
#define pr_warn_ratelimited(fmt, ...) __hf_printk(fmt, ##__VA_ARGS__)
#define trace_printk(fmt, ...) __hf_printk(fmt, ##__VA_ARGS__)
#define dump_stack() ((void)0)
