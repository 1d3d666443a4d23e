-- What only MariaDB 10.6 and later hold. Run after common.sql.
set names utf8mb4;
set time_zone = '+00:00';
set sql_mode = 'NO_AUTO_VALUE_ON_ZERO';
create database maria character set utf8mb4 collate utf8mb4_general_ci comment 'it''s MariaDB''s';
use maria;

create table ids (id int primary key, u uuid, i6 inet6, key (u), key (i6));
insert into ids select n, insert(insert(left(sha2(n, 256), 32), 13, 1, '4'), 17, 1, '8'), concat('2001:db8::', hex(n)) from fid.num where n <= 300;
insert into ids values (1001, '00000000-0000-0000-0000-000000000000', '::'), (1002, 'ffffffff-ffff-ffff-ffff-ffffffffffff', '::ffff:10.0.0.1'), (1003, null, null);
create table uuid_key (k uuid primary key default uuid(), n int);
insert into uuid_key select insert(insert(left(sha2(n + 7, 256), 32), 13, 1, '4'), 17, 1, '8'), n from fid.num where n <= 300;
create table inet_key (a inet6 primary key, n int);
insert into inet_key select concat('fe80::', hex(n * 31)), n from fid.num where n <= 200;

create table squeezed (id int primary key, t text compressed, b blob compressed, v varchar(3000) compressed default 'v');
insert into squeezed select n, repeat('squeeze ', n), repeat(x'00ff', n), repeat('q', n) from fid.num where n <= 200;
insert into squeezed values (1001, '', '', ''), (1002, null, null, null);
create table paged (id int primary key, v text) page_compressed = 1;
insert into paged select n, repeat('p', n) from fid.num where n <= 200;
create table e_aria (id int primary key auto_increment, v varchar(50), key (v)) engine = aria transactional = 1;
insert into e_aria (v) select left(sha2(n, 256), 32) from fid.num where n <= 300;
create table e_aria_plain (id int primary key, v text) engine = aria transactional = 0 row_format = fixed;
create table e_aria_dynamic (id int primary key, v text) engine = aria transactional = 0;
insert into e_aria_dynamic select n, left(sha2(n, 256), 32) from fid.num where n <= 50;
create table json_alias (id int primary key, j json not null default '{}', constraint shape check (json_extract(j, '$.a') is null or json_extract(j, '$.a') < 10));
insert into json_alias values (1, '{"a":  1 , "b": [ ]}'), (2, '{}');
create table ignored_key (id int primary key, a int, key quiet (a) ignored);
insert into ignored_key values (1, 1);
create table `check` (id int, name varchar(10), unique key (name) using hash, long_unique text, unique key (long_unique));
insert into `check` values (1, 'a', repeat('u', 4000)), (2, null, null), (3, 'b', repeat('u', 4001));
create table next_defaults (id int primary key, a int default (id * 2), b varchar(20) default (concat('id ', id)));
insert into next_defaults (id) values (1), (2);

-- system versioning: implicit and named periods, without some columns, partitioned history
create table history_plain (id int primary key, v int) with system versioning;
set timestamp = 1700000000.5;
insert into history_plain select n, n from fid.num where n <= 200;
set timestamp = 1700000001.25;
update history_plain set v = v + 1 where id <= 100;
set timestamp = 1700000002;
update history_plain set v = v + 1 where id <= 50;
delete from history_plain where id <= 10;
set timestamp = 1700000003;
insert into history_plain values (1, 1000);
create table history_named (
  id int primary key, v int, quiet int without system versioning,
  since timestamp(6) generated always as row start, till timestamp(6) generated always as row end invisible, period for system_time (since, till)
) with system versioning;
insert into history_named (id, v, quiet) select n, n, n from fid.num where n <= 50;
set timestamp = 1700000004;
update history_named set v = 0, quiet = 0 where id <= 20;
delete from history_named where id > 45;
create table history_nokey (a int, b varchar(20)) with system versioning;
insert into history_nokey values (1, 'a'), (1, 'a'), (2, 'b');
set timestamp = 1700000005;
update history_nokey set b = 'c' where a = 1;
create table history_parted (id int primary key, v int) with system versioning
  partition by system_time (partition p0 history, partition p1 history, partition pn current);
insert into history_parted select n, n from fid.num where n <= 100;
set timestamp = 1700000006;
update history_parted set v = -v where id <= 60;
set timestamp = default;

-- application periods
create table spans (name varchar(20), b date, e date, period for span (b, e), unique (name, span without overlaps));
insert into spans values ('a', '2024-01-01', '2024-02-01'), ('a', '2024-02-01', '2024-03-01'), ('b', '2024-01-15', '2024-01-16');
create table both_times (id int, b date, e date, v int, period for span (b, e), primary key (id, span without overlaps)) with system versioning;
insert into both_times values (1, '2024-01-01', '2024-06-01', 1);
update both_times for portion of span from '2024-02-01' to '2024-03-01' set v = 2;

create sequence s_plain;
create sequence s_odd start with -100 increment by -7 minvalue -9223372036854775807 maxvalue 0 cache 3 cycle comment 'it''s down';
create sequence `s ``odd`` ü` start with 9223372036854775000 increment by 10 nocache;
create sequence s_used start with 100 increment by 10 cache 50;
do nextval(s_odd), nextval(s_odd), nextval(s_used), nextval(s_used), nextval(s_used), setval(s_plain, 41, 1);
-- create table from_sequence (id bigint primary key default nextval(s_used), v int);
-- insert into from_sequence (v) values (1), (2), (3);

-- programs
delimiter //
set sql_mode = oracle//
create package pack as
  function twice(n int) return int;
  procedure note(what varchar2(20));
end;
//
create package body pack as
  seen int := 0;
  function twice(n int) return int as begin return n * 2; end;
  procedure note(what varchar2(20)) as begin seen := seen + 1; insert into fid.trg_log (what) values (what || '''s'); end;
begin
  seen := 1;
end;
//
create procedure p_oracle(n in int, o out varchar2) as
  x int := 1;
begin
  if n > 0 then o := 'more' || n; end if;
end;
//
set sql_mode = 'NO_AUTO_VALUE_ON_ZERO'//
create aggregate function f_agg(x int) returns int begin
  declare s int default 0;
  declare continue handler for not found return s;
  loop fetch group next row; set s = s + x; end loop;
end//
create trigger t_insert_only before insert on ids for each row set new.id = new.id//
delimiter ;
create view v_system as select id, v from history_plain for system_time all;
create view v_oracle as select nvl(null, 1) x, n || 1 from (select 1 n) t;

-- accounts
install soname 'auth_ed25519';
create user 'ed'@'%' identified via ed25519 using password('ed-pw');
create user 'two'@'%' identified via ed25519 using password('ed-pw') or mysql_native_password using password('native-pw');
create user 'sock'@'localhost' identified via unix_socket;
create user 'never'@'%' identified by 'x' password expire never;
create user 'roled'@'%' identified by 'x';
grant reader to 'roled'@'%';
grant writer to 'roled'@'%';
set default role reader for 'roled'@'%';
create role owned with admin 'roled'@'%';
grant select on fid.parent to owned;
grant usage on *.* to 'ed'@'%' require cipher 'TLS_AES_256_GCM_SHA384';
grant binlog monitor, read_only admin on *.* to 'two'@'%';
delimiter //
set sql_mode = oracle//
grant execute on package maria.pack to 'ed'@'%'//
grant execute on package body maria.pack to 'ed'@'%'//
set sql_mode = 'NO_AUTO_VALUE_ON_ZERO'//
delimiter ;
create user ''@'10.1.2.3' identified by 'anonymous';
