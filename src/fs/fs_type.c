#include "fs/fs_type.h"

#include <linux/magic.h>
#include <stddef.h>
#include <sys/vfs.h>

/* The numbers of linux/magic.h; the others are those of stat(1) in coreutils. */
static const struct {
    uint32_t type;
    const char *name;
} types[] = {
    {NFS_SUPER_MAGIC, "NFS"},
    {CIFS_SUPER_MAGIC, "CIFS"},
    {SMB2_SUPER_MAGIC, "CIFS"},
    {SMB_SUPER_MAGIC, "SMB"},
    {FUSE_SUPER_MAGIC, "FUSE"},
    {V9FS_MAGIC, "9p"},
    {OVERLAYFS_SUPER_MAGIC, "overlay"},
    {ECRYPTFS_SUPER_MAGIC, "eCryptfs"},
    {CEPH_SUPER_MAGIC, "Ceph"},
    {AFS_SUPER_MAGIC, "AFS"},
    {AFS_FS_MAGIC, "AFS"},
    {CODA_SUPER_MAGIC, "Coda"},
    {NCP_SUPER_MAGIC, "NCP"},
    {OCFS2_SUPER_MAGIC, "OCFS2"},
    {0x01161970, "GFS2"},
    {0x47504653, "GPFS"},
    {0x0BD00BD0, "Lustre"},
    {0x19830326, "BeeGFS"},
    {0x61756673, "aufs"},
    {0x786F4256, "vboxsf"},
    {0xBACBACBC, "vmhgfs"},
    {0x7C7C6673, "prl_fs"},
};

const char *fs_type_misses_events(uint32_t type)
{
    size_t i;

    for (i = 0; i < sizeof types / sizeof *types; i++)
        if (types[i].type == type)
            return types[i].name;
    return NULL;
}

const char *fs_type_name(int fd)
{
    struct statfs fs;

    return fstatfs(fd, &fs) < 0 ? NULL : fs_type_misses_events((uint32_t)fs.f_type);
}
