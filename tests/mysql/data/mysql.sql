-- What only MySQL 8.0 and later hold. Run after common.sql.
set names utf8mb4;
set time_zone = '+00:00';
set sql_mode = 'NO_AUTO_VALUE_ON_ZERO';
create database my character set utf8mb4 collate utf8mb4_0900_ai_ci;
use my;

create table functional (id int primary key, a varchar(50), j json, key f ((lower(a))), key g ((id + 1) desc), key m ((cast(j->'$.tags' as unsigned array))));
insert into functional select n, concat('Aa', n), json_object('tags', json_array(n % 5, n % 7)) from fid.num where n <= 200;
create table hidden_key (id int primary key, a int, key quiet (a) invisible);
insert into hidden_key values (1, 1);
set sql_generate_invisible_primary_key = 1;
create table made_key (a int, b varchar(20));
insert into made_key select n % 3, 'same' from fid.num where n <= 100;
delete from made_key where a = 1;
set sql_generate_invisible_primary_key = 0;
create table collations (id int primary key, a varchar(20) collate utf8mb4_0900_as_cs, b varchar(20) collate utf8mb4_0900_bin, c varchar(20) collate utf8mb4_ja_0900_as_cs, unique key (a), key (b));
insert into collations values (1, 'a', 'a ', 'ア'), (2, 'A', 'a', 'あ'), (3, 'a ', 'A', '');
create table nopad_key (k varchar(20) collate utf8mb4_0900_ai_ci primary key, v int);
insert into nopad_key values ('a', 1), ('a ', 2), ('a  ', 3), ('b', 4), ('', 5), (' ', 6);
create table srid (id int primary key, g point not null srid 4326, h geometry, spatial key (g));
insert into srid values (1, st_srid(point(10, 20), 4326), st_geomfromtext('POINT(1 2)', 3857)), (2, st_srid(point(-180, 90), 4326), null);
create table js_real (id int primary key, j json not null, k varchar(20) generated always as (j->>'$.k') stored, key (k), check (json_type(j) = 'OBJECT'));
insert into js_real (id, j) values (1, '{"k": "v", "z": 1, "a": 2}'), (2, '{}');
insert into js_real (id, j) values (3, json_object('d', cast('2024-01-01' as date), 't', cast('10:00:00.5' as time(6)), 'n', cast(1.10 as decimal(5,2)), 'u', 18446744073709551615));
create table not_enforced (id int primary key, a int, constraint soft check (a > 100) not enforced);
insert into not_enforced values (1, 1);
create table e_archive (id int not null, v varchar(30)) engine = archive;
insert into e_archive select n, left(sha2(n, 256), 32) from fid.num where n <= 50;
create table e_blackhole (id int primary key, v int) engine = blackhole;
create table desc_key (a int, b int, primary key (a desc, b));
insert into desc_key select n % 17, n from fid.num where n <= 300;
create table vectors (id int primary key, v vector(3));
insert into vectors values (1, to_vector('[1,2.5,-3e10]')), (2, null);
create table by_default (id int primary key, u binary(16) default (uuid_to_bin('6ccd780c-baba-1026-9564-5b8c656024db')), p point default (point(1, 2)), j json default (json_object('a', 1)));
insert into by_default (id) values (1);

create view v_lateral as select n.n, t.s from fid.num n, lateral (select n.n * 2 as s) t where n.n < 5;
delimiter //
create procedure p_only_mysql() sql security definer begin
  declare exit handler for sqlexception begin get stacked diagnostics condition 1 @m = message_text; end;
  select j.* from json_table('[1,2]', '$[*]' columns (v int path '$')) j;
end//
create trigger t_my before insert on functional for each row set new.a = trim(new.a)//
delimiter ;

-- accounts
create user 'sha2'@'%' identified with caching_sha2_password by 'sha2-pw' attribute '{"team": "it''s ü"}';
create user 'changing'@'%' identified by 'old-pw';
alter user 'changing'@'%' identified by 'new-pw' retain current password;
create user 'changing_late'@'%' identified by 'old-pw' account lock;
alter user 'changing_late'@'%' identified by 'new-pw' retain current password password expire;
-- Salts of printable bytes: the server shows these hashes as strings with escapes, not in hex digits.
create user 'printable'@'%' identified with caching_sha2_password as '$A$005$abcdefghij\'lm\\opqr"tXUIEPTbw2U7o0IKC10hvTBNZbTpvT3kw2n9EBUuidd3' account lock;
alter user 'printable'@'%' identified with caching_sha2_password as '$A$005$klmnopqrst\'uv\\opqr"tXUIEPTbw2U7o0IKC10hvTBNZbTpvT3kw2n9EBUuidd3' retain current password;
create user 'commented'@'%' identified by 'x' comment 'it''s a "comment" ACCOUNT UNLOCK';
create user 'strict'@'%' identified by 'x' password history 5 password reuse interval 30 day password require current failed_login_attempts 3 password_lock_time 2;
create user 'random'@'%' identified by 'x' password expire never;
create user 'roled'@'%' identified by 'x' default role reader, writer;
grant backup_admin, replication_slave_admin, system_variables_admin on *.* to 'sha2'@'%';
grant role_admin on *.* to 'sha2'@'%' with grant option;
grant select on *.* to 'strict'@'%';
set @old = @@global.partial_revokes;
set global partial_revokes = on;
revoke select on `my`.* from 'strict'@'%';
grant proxy on 'app'@'%' to 'sha2'@'%';
set persist max_connections = 170;
set global mandatory_roles = '';
